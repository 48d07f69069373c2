// What the page and its worker say to each other.

import type { BundleConfig } from "./config.js";
import type { Rule, Threshold } from "./decision.js";
import type { ErrorCode } from "./errors.js";

/** How a bundle is opened; `folder` and `assets` are whole addresses that end with a slash. */
export interface OpenOptions {
  readonly folder: string;
  readonly sha256: string | null;
  readonly assets: string;
  readonly threads: number;
  readonly threshold: Threshold | null;
  readonly faces: "all" | "largest";
  readonly detect: boolean | null;
  readonly mirror: boolean | null;
}

/** What the page may know of an open model. */
export interface Info {
  readonly config: BundleConfig;
  readonly rule: Rule;
  readonly detect: boolean;
  readonly mirror: boolean;
  readonly overlooksFaces: boolean;
}

export type Call =
  | { readonly kind: "open"; readonly options: OpenOptions }
  | { readonly kind: "predict"; readonly source: Blob | ImageBitmap; readonly name: string }
  | {
      readonly kind: "explain";
      readonly source: Blob | ImageBitmap;
      readonly name: string;
      readonly label: string | null;
    }
  | {
      readonly kind: "frame";
      readonly stream: number;
      readonly bitmap: ImageBitmap;
      readonly time: number;
      readonly source: string;
      readonly cut: boolean;
    }
  | { readonly kind: "end"; readonly stream: number };

export type Request = { readonly id: number; readonly call: Call };
export type Reply =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: { readonly code: ErrorCode; readonly message: string } };
