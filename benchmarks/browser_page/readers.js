// Read the webcam with mien's library or with @vladmandic/human, and time it. Called by benchmarks/browser.py.

const video = document.getElementById("video");

/** Only what answers the same question: find faces, and their expressions. All else is as human comes. */
const HUMAN = {
  modelBasePath: "human/models/",
  wasmPath: "human/wasm/",
  face: {
    mesh: { enabled: false }, iris: { enabled: false }, description: { enabled: false }, emotion: { enabled: true },
  },
  body: { enabled: false }, hand: { enabled: false }, gesture: { enabled: false },
};

const open = {
  async mien({ model, threads }) {
    const { load } = await import("./mien/mien.js");
    const stream = (await load(`models/${model}/`, { threads })).stream();
    return async () => (await stream.predict(video)).faces.map(({ answer }) => answer);
  },

  async human({ backend, threads, cache }) {
    const { Human } = await import("./human/human.esm.js");
    const human = new Human({ ...HUMAN, backend, ...(cache ? {} : { cacheSensitivity: 0 }) });
    if (threads > 1) human.tf.setThreadsCount(threads);
    await human.load();
    if (human.tf.getBackend() !== backend) throw new Error(`${backend} does not start: ${human.tf.getBackend()} does`);
    return async () => (await human.detect(video)).face.map(({ emotion }) => emotion?.[0]?.emotion);
  },
};

let read = null;

async function camera() {
  video.srcObject = await navigator.mediaDevices.getUserMedia({ video: { width: 640, height: 480 } });
  await video.play();
}

const nextFrame = () => new Promise((done) => video.requestVideoFrameCallback(done));

globalThis.bench = {
  /** Open a reader and the webcam; return the milliseconds from the start of the visit to the first face's answer. */
  async start(name, options) {
    [read] = await Promise.all([open[name](options), camera()]);
    for (;;) {
      await nextFrame();
      const answers = await read();
      if (answers[0]) return { milliseconds: performance.now(), answer: answers[0], size: [video.videoWidth, video.videoHeight] };
    }
  },

  /** Read frame after frame for so many seconds. */
  async run(seconds) {
    const begin = performance.now();
    let [frames, faces] = [0, 0];
    while (performance.now() - begin < 1000 * seconds) {
      await nextFrame();
      faces += (await read()).length > 0;
      frames += 1;
    }
    return { frames, faces, seconds: (performance.now() - begin) / 1000 };
  },
};
