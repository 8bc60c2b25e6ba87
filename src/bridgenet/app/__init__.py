"""The web page for pictures and the camera. It runs on this machine and loads nothing from other servers."""

from __future__ import annotations

import html
import os
import shutil
import socket
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from pathlib import Path
from typing import Any

from bridgenet.app.guard import Guard, own_names
from bridgenet.app.results import MOST_KEPT, Results, unused
from bridgenet.downloads.pictures import is_address
from bridgenet.errors import UserError
from bridgenet.imaging.reading import picture_size, read_picture
from bridgenet.prediction import Prediction, check_request
from bridgenet.prediction.model import Model
from bridgenet.system.terminal import one_line, tell

MOST_PIXELS = 24_000_000
"""Largest number of pixels of a picture."""
MOST_PICTURES = 20
"""Largest number of pictures in a prediction."""
KEPT_SECONDS = 3600
"""Files of a session are deleted after this time [s], and all files when the page ends."""
FETCH = "() => setTimeout(() => (document.querySelector('#made a') ?? document.querySelector('#made')).click(), 200)"
"""JavaScript that starts the download of the zip, which is made on request."""


def build_page(model: Model, title: str, folder: Path, *, max_pixels: int | None = None) -> Any:
    """Build the page as Gradio blocks.

    Args:
        model: predicts the pictures, one after another.
        title: heading, e.g. the weights' name.
        folder: folder for the results; the caller deletes it.
        max_pixels: see :class:`bridgenet.prediction.NetworkPredictor`.
    """
    import gradio as gr

    # Predictions run in one thread: freed memory stays with its thread, and Gradio has many threads.
    one = ThreadPoolExecutor(1, thread_name_prefix="predict")
    results = Results(folder)

    def predict(
        kept: str,
        files: list[str] | None,
        photo: str | None,
        progress: Any = gr.Progress(),  # noqa: B008
    ) -> Any:
        entries = [(Path(file).name, file) for file in files or ()]
        entries += [("camera", photo)] if photo is not None else []
        if not entries:
            raise refused("Drop a picture first, or take one with the camera.")
        if len(entries) > MOST_PICTURES:
            raise refused(f"{len(entries)} pictures at once; at most {MOST_PICTURES}.")
        place, found = results.make(), list[str]()
        for number, (name, source) in enumerate(entries):
            progress((number, len(entries)), desc=name)
            try:
                name = unused(name, found)
                one.submit(answer, place, name, source).result()
                found.append(name)
            except UserError as error:
                told = str(error).replace(str(source), name)
                tell(one_line(f"! {told}"))
                gr.Warning(html.escape(told))
        if not found:
            results.delete(place)
            raise refused("None of the pictures could be read.")
        results.delete(kept)
        choice = gr.Dropdown(choices=found, value=found[0], visible=len(found) > 1)
        return place, choice, results.view(place, found[0]), gr.Button(interactive=True)

    def answer(place: str, name: str, source: str) -> None:
        results.put(place, name, predicted(model, source, max_pixels))

    def show(kept: str, name: str) -> str:
        return reporting(results.view, kept, name)

    def pack(kept: str) -> str:
        return str(reporting(results.packed, kept))

    def reporting(call: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return call(*arguments)
        except UserError as error:
            raise refused(str(error)) from None

    def refused(text: str) -> Exception:
        """An error that the page shows and the console has as one line."""
        tell(one_line(f"! {text}"))
        return gr.Error(html.escape(text), print_exception=False)

    with gr.Blocks(title=f"BridgeNet: {title}", analytics_enabled=False, delete_cache=(600, KEPT_SECONDS)) as page:
        kept = gr.State("", time_to_live=KEPT_SECONDS, delete_callback=results.delete)
        gr.Markdown(
            f"## {title}\n{', '.join(model.tasks)}. Pictures stay on this machine and are deleted when the page ends."
        )
        with gr.Row():
            with gr.Column(scale=1, min_width=340):
                files = gr.File(label="Pictures", file_count="multiple", elem_id="pictures", height=160)
                with gr.Accordion("Camera", open=False):
                    photo = gr.Image(label="Camera", sources=["webcam", "clipboard"], type="filepath", height=200)
                    # Opened here as other pictures are: Gradio would open it in any format.
                    photo.preprocess = lambda payload: payload.path if payload else None  # type: ignore[method-assign]
                button = gr.Button("Predict", variant="primary", elem_id="predict")
                choice = gr.Dropdown(label="Picture", choices=[], visible=False, elem_id="choice")
                download = gr.Button("Download all (zip)", interactive=False, elem_id="download")
                made = gr.DownloadButton(visible="hidden", elem_id="made")
            with gr.Column(scale=4):
                shown = gr.HTML("", elem_id="views")
        outputs = [kept, choice, shown, download]
        button.click(
            predict, [kept, files, photo], outputs, api_name="predict", concurrency_limit=1, show_progress_on=shown
        )
        files.upload(
            predict,
            [kept, files, photo],
            outputs,
            api_visibility="private",
            concurrency_id="predict",
            concurrency_limit=1,
        )
        choice.input(show, [kept, choice], shown, api_visibility="private")
        packing = download.click(pack, kept, made, api_visibility="private")
        packing.success(None, js=FETCH)
    take = page.preprocess_data

    async def take_or_refuse(*arguments: Any, **named: Any) -> Any:
        """Refuse in one line what is no request of this page; Gradio's errors are tracebacks with paths of this machine."""
        if any(map(_has_address, (*arguments, *named.values()))):
            raise refused("An address was sent instead of a picture; nothing is fetched from elsewhere.")
        try:
            return await take(*arguments, **named)
        except Exception as error:
            raise refused(f"A request of another form than the page's was refused ({type(error).__name__}).") from None

    page.preprocess_data = take_or_refuse  # type: ignore[method-assign]
    return page.queue(max_size=32)


def _has_address(value: Any) -> bool:
    """Whether a request names a file that Gradio would fetch from another server."""
    if isinstance(value, dict):
        return is_address(str(value.get("path"))) or any(map(_has_address, value.values()))
    return isinstance(value, list | tuple) and any(map(_has_address, value))


def predicted(model: Model, source: str, max_pixels: int | None = None) -> Prediction:
    """Predict an uploaded file. UserError if it cannot be read or is too large."""
    height, width = picture_size(Path(source))
    if height * width > MOST_PIXELS:
        raise UserError(f"{source} has {width}×{height} pixels, at most {MOST_PIXELS / 1e6:.0f} million are taken")
    return model.predict(read_picture(source), max_pixels=max_pixels)


def serve(
    model: Model,
    title: str,
    *,
    host: str = "127.0.0.1",
    port: int = 7860,
    max_pixels: int | None = None,
    block: bool = True,
) -> tuple[Any, str]:
    """Serve the page until interrupted (or, without `block`, in the background).

    Returns:
        The Gradio blocks, ended by `close()`, and the address. Without `block` the caller deletes their folder, which is
        named by the environment variable GRADIO_TEMP_DIR.

    Raises:
        UserError: Gradio is not installed, or the port is in use.
    """
    check_request(model.tasks, None, max_pixels)
    _check_port(host, port)
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    try:
        import gradio as gr
    except ImportError:
        raise UserError('the web page needs Gradio: pip install "bridgenet[app]"') from None
    from starlette.middleware import Middleware

    own = resources.files("bridgenet.app")
    folder = Path(tempfile.mkdtemp(prefix="bridgenet-app-"))
    os.environ["GRADIO_TEMP_DIR"] = str(folder)
    page = None
    try:
        page = build_page(model, title, folder, max_pixels=max_pixels)
        _, address, _ = page.launch(
            server_name=host,
            server_port=port,
            quiet=True,
            prevent_thread_lock=True,
            max_file_size="64mb",
            theme=gr.themes.Base(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]),
            css=(own / "viewer.css").read_text(encoding="utf-8"),
            head=f"<script>{(own / 'viewer.js').read_text(encoding='utf-8')}</script>",
            app_kwargs={"middleware": [Middleware(Guard, names=own_names(host))]},
            footer_links=[],
            ssr_mode=False,
            share=False,
            enable_monitoring=False,
            state_session_capacity=MOST_KEPT,
        )
        if block:
            print(f"→ {address}   Ctrl-C ends it")
            page.block_thread()
    finally:
        if block and page is not None:
            page.close(verbose=False)
        if block or page is None:
            shutil.rmtree(folder, ignore_errors=True)
    return page, address


def _check_port(host: str, port: int) -> None:
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError:
        raise UserError(f"{host} is no address of this machine; give another --host") from None
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            raise UserError(f"port {port} of {host} cannot be used: {error.strerror}. Give another --port") from None
