// What the tests of the library call. An error becomes an object with its code and message.

import { load, MienError } from "./dist/mien.js";

const told = async (run) => {
  try {
    return await run();
  } catch (error) {
    if (!(error instanceof MienError)) throw error;
    return { code: error.code, message: error.message };
  }
};

const page = {
  reader: null,

  load: (bundle, options) =>
    told(async () => {
      page.reader?.close();
      page.reader = await load(bundle, options);
      const { answers, detect, overlooksFaces, config } = page.reader;
      return { answers, detect, overlooksFaces, name: config.name, isolated: crossOriginIsolated };
    }),

  predict: (url, name) =>
    told(async () => page.reader.predict(await (await fetch(url)).blob(), name ?? undefined)),

  explain: (url, label) =>
    told(async () => {
      const found = await page.reader.explain(await (await fetch(url)).blob(), label ?? undefined, "x");
      return { ...found, heatmaps: found.heatmaps.map((one) => ({ ...one, heat: [...one.heat] })) };
    }),

  /** The rows of a picture that the page holds in each form that is no file. */
  forms: (url) =>
    told(async () => {
      const image = new Image();
      image.src = url;
      await image.decode();
      const canvas = document.createElement("canvas");
      [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
      const context = canvas.getContext("2d");
      context.drawImage(image, 0, 0);
      const bitmap = await createImageBitmap(canvas);
      const offscreen = new OffscreenCanvas(canvas.width, canvas.height);
      offscreen.getContext("2d").drawImage(image, 0, 0);
      const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
      const rows = [];
      for (const source of [image, canvas, bitmap, offscreen, pixels]) rows.push(await page.reader.predict(source));
      const file = new File([await (await fetch(url)).blob()], "me.png");
      rows.push(await page.reader.predict(file), await page.reader.predict(bitmap, "again"));
      return rows;
    }),

  refused: (source) => told(() => page.reader.predict(source)),

  /** The rows of so many frames of the webcam. */
  watch: (count) =>
    told(async () => {
      const video = document.getElementById("video");
      video.srcObject = await navigator.mediaDevices.getUserMedia({ video: true });
      await video.play();
      const rows = [];
      for await (const row of page.reader.watch(video)) {
        rows.push(row);
        if (rows.length >= count) break;
      }
      video.srcObject.getTracks().forEach((track) => track.stop());
      return rows;
    }),

  /** Watch until the abort signal, which comes with the second row; return the number of rows. */
  watchUntilAborted: () =>
    told(async () => {
      const video = document.getElementById("video");
      video.srcObject = await navigator.mediaDevices.getUserMedia({ video: true });
      await video.play();
      const stop = new AbortController();
      let rows = 0;
      for await (const row of page.reader.watch(video, { signal: stop.signal })) {
        rows += row.frame > 0;
        if (rows === 2) stop.abort();
      }
      return rows;
    }),
};

globalThis.page = page;
