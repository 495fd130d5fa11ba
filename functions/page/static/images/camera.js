/** Pictures from the camera: a dialog with the camera's image, and a button that takes it. */

const FAILURES = {
  NotAllowedError: "The browser does not allow the camera for this page. Allow it in the address bar, then try again.",
  NotFoundError: "No camera was found. Connect one, then try again.",
};

/** Calls `add` with each picture that the user takes. */
export function listenForCamera(add) {
  const [dialog, video, failed, button] = ["camera-dialog", "camera", "camera-failed", "use-camera"]
    .map((id) => document.getElementById(id));
  const take = document.getElementById("take-photo");
  let count = 0;

  button.hidden = !navigator.mediaDevices; // in a page without TLS, except on this machine
  button.onclick = async () => {
    failed.hidden = true;
    take.disabled = true;
    dialog.showModal();
    const problem = await start(video, dialog);
    take.disabled = Boolean(problem);
    failed.textContent = problem ?? "";
    failed.hidden = !problem;
  };
  take.onclick = async () => {
    count += 1;
    const file = await picture(video);
    dialog.close();
    add([{ name: `camera-${count}.jpg`, file, unsaved: true }]);
  };
  document.getElementById("close-camera").onclick = () => dialog.close();
  dialog.onclose = () => stop(video);
}

/** Shows the camera's image while the dialog is open; returns null, or what to do if that fails. */
export async function start(video, dialog) {
  try {
    video.srcObject = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    if (dialog.open) await video.play();
    else stop(video);
    return null;
  } catch (error) {
    return FAILURES[error.name] ?? `The camera cannot be used: ${error.message}`;
  }
}

/** The camera's image as a JPEG. */
export async function picture(video) {
  const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
  canvas.getContext("2d").drawImage(video, 0, 0);
  return canvas.convertToBlob({ type: "image/jpeg", quality: 0.92 });
}

export function stop(video) {
  for (const track of video.srcObject?.getTracks() ?? []) track.stop();
  video.srcObject = null;
}
