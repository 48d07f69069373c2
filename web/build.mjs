// Build the library into dist/ (or --out DIR), a static page that uses it into a folder (--page DIR), or the unit tests
// into a folder (--tests DIR).
//
// dist/ has all that a page needs: the library, its worker, WebAssembly, the face detector and the shipped 8-bit model.
// The detector's weights and the model come from ../src/mien, where Python has them.

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const python = join(here, "..", "src", "mien");
const runtime = join(here, "node_modules", "onnxruntime-web");
const folder = { type: "string" };
const options = { out: { ...folder, default: join(here, "dist") }, tests: folder, page: folder };
const { values } = parseArgs({ options });
const shared = { absWorkingDir: here, bundle: true, format: "esm", target: "es2022", logLevel: "warning" };

if (values.tests) {
  const names = readdirSync(join(here, "test")).filter((name) => name.endsWith(".test.ts"));
  rmSync(values.tests, { recursive: true, force: true });
  await build({
    ...shared, platform: "node", outdir: resolve(values.tests), outExtension: { ".js": ".mjs" },
    entryPoints: names.map((name) => join("test", name)),
  });
} else {
  await buildLibrary(resolve(values.out));
  if (values.page) buildPage(resolve(values.out), resolve(values.page));
}

async function buildLibrary(out) {
  const weights = join(python, "faces", "weights");
  if (!existsSync(join(weights, "yunet_2023mar.onnx"))) {
    console.error("web: the face detector's weights are missing; run `make setup` in the folder above first");
    process.exit(1);
  }
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  await build({
    ...shared, outdir: out, minify: true, legalComments: "none", entryPoints: ["src/mien.ts", "src/worker.ts"],
    platform: "browser", conditions: ["onnxruntime-web-use-extern-wasm"],
  });
  for (const name of ["ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"]) {
    cpSync(join(runtime, "dist", name), join(out, name));
  }
  for (const name of ["yunet_2023mar.onnx", "LICENSE-YuNet.txt"]) cpSync(join(weights, name), join(out, name));
  const model = join(out, "models", "mien-int8");
  mkdirSync(model, { recursive: true });
  for (const name of ["config.json", "model.onnx", "CARD.md"]) {
    cpSync(join(python, "models", "mien-int8", name), join(model, name));
  }
  cpSync(join(here, "..", "LICENSE"), join(out, "LICENSE"));
  for (const name of ["LICENSE-onnxruntime.txt", "ThirdPartyNotices-onnxruntime.txt"]) {
    cpSync(join(here, name), join(out, name));
  }
  // Types: one file per module.
  const compiler = join(here, "node_modules", "typescript", "bin", "tsc");
  const options = ["-p", "tsconfig.types.json", "--outDir", join(out, "types")];
  execFileSync(process.execPath, [compiler, ...options], { cwd: here, stdio: "inherit" });
}

/** Put the page of `mien serve` into a folder, with the modules of page/ in place of those that talk to a server. */
function buildPage(library, site) {
  const source = join(python, "server", "page");
  const servers = ["api.js", "stream.js", "key-dialog.js", "reference.css", "index.html"];
  rmSync(site, { recursive: true, force: true });
  cpSync(source, join(site, "page"), { recursive: true, filter: (path) => !servers.includes(basename(path)) });
  cpSync(join(here, "page"), join(site, "page"), { recursive: true });
  cpSync(join(here, "root"), site, { recursive: true });
  cpSync(library, join(site, "mien"), { recursive: true, filter: (path) => !/[\\/](types|models)$/.test(path) });
  cpSync(join(library, "models"), join(site, "models"), { recursive: true });
  const models = readdirSync(join(site, "models")).sort();
  const sha256 = Object.fromEntries(models.map((name) => [name, digest(join(site, "models", name, "config.json"))]));
  writeFileSync(join(site, "models", "models.json"), JSON.stringify({ default: models[0], models, sha256 }));
  writeFileSync(join(site, "site.json"), `${JSON.stringify({ notice: "" })}\n`);
  const policy =
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self'; " +
    "style-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; manifest-src 'self'; " +
    "base-uri 'none'; form-action 'none'";
  const html = readFileSync(join(source, "index.html"), "utf8")
    .replace(/ *<!-- server -->.*?<!-- \/server -->\n\n?/gs, "")
    .replace('<meta charset="utf-8">', `$&\n  <meta http-equiv="Content-Security-Policy" content="${policy}">`)
    .replace(/ *<script/, `  <script defer src="page/from-file.js"></script>\n$&`)
    .replace(/ *<link rel="icon"/, `  <link rel="manifest" href="manifest.json">\n$&`)
    .replace(/ *<link rel="icon"/, `  <link rel="apple-touch-icon" href="icons/maskable-512.png">\n$&`);
  writeFileSync(join(site, "index.html"), html);
  writeFileSync(join(site, "files.json"), JSON.stringify(listFiles(site), null, 1) + "\n");
}

/** Return the sha256 of a file. */
function digest(path) {
  return createHash("sha256").update(readFileSync(path)).digest("hex");
}

/** Return the sha256 of each file that the page may load, by its path; licences and cards are for people. */
function listFiles(site) {
  const names = readdirSync(site, { recursive: true })
    .filter((path) => !/^LICENSE|\.(txt|md)$/.test(basename(path)) && statSync(join(site, path)).isFile())
    .map((path) => path.replaceAll("\\", "/"));
  return Object.fromEntries(names.sort().map((name) => [name, digest(join(site, name))]));
}
