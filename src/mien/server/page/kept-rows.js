// The rows of a webcam, kept for its CSV. They are packed in blocks: as objects, an hour of them takes 27 MB.

const BLOCK = 500;
/** So many rows are kept, an hour at 10 frames per second. */
export const MOST = 36_000;

/** The latest rows, oldest first: at least MOST of them if there were as many. */
export class KeptRows {
  constructor() {
    this.packed = []; // promises of gzipped JSON, BLOCK rows each
    this.latest = [];
  }

  /** Add a row: anything that JSON can hold. */
  add(row) {
    this.latest.push(row);
    if (this.latest.length < BLOCK) return;
    this.packed.push(pack(this.latest));
    this.latest = [];
    if (this.packed.length * BLOCK > MOST) this.packed.shift();
  }

  /** Return a promise of all rows. */
  async all() {
    const latest = [...this.latest]; // before anything is waited for
    const blocks = await Promise.all(this.packed.map(async (block) => unpack(await block)));
    return [...blocks.flat(), ...latest];
  }
}

async function pack(rows) {
  const json = new Blob([JSON.stringify(rows)]).stream();
  return new Response(json.pipeThrough(new CompressionStream("gzip"))).arrayBuffer();
}

async function unpack(packed) {
  return new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"))).json();
}
