// Wait for the frames of a video element.

/** Wait until a video shows another frame; false if it has ended, or `signal` says so. */
export function nextFrame(video: HTMLVideoElement, signal?: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const ends = ["ended", "emptied", "error"] as const;
    const finish = (more: boolean): void => {
      for (const name of ends) video.removeEventListener(name, stop);
      signal?.removeEventListener("abort", stop);
      resolve(more);
    };
    const stop = (): void => finish(false);
    if (signal?.aborted || video.ended) {
      resolve(false);
      return;
    }
    for (const name of ends) video.addEventListener(name, stop);
    signal?.addEventListener("abort", stop);
    const ready = (): void => finish(!signal?.aborted);
    if ("requestVideoFrameCallback" in video) video.requestVideoFrameCallback(ready);
    else requestAnimationFrame(ready);
  });
}
