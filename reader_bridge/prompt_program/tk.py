"""The prompt as a Tk window, for computers without GTK. Screen readers cannot read it."""

from __future__ import annotations

import queue
import time
import tkinter
from collections.abc import Callable
from tkinter import font, ttk

from reader_bridge.prompt_program import pictures, texts, tk_look
from reader_bridge.prompt_program.starting import Cancel, Unusable
from reader_bridge.prompt_program.waiting import View, Waiting

TICK_MS = 50  # Tk can be called from its own thread alone: it looks for what others want
QR_ROOM = 190  # pixels at 100 %
MARGIN, GAP = 18, 10
WRAP = 300  # pixels at 100 %
USUAL_DPI = 96
FONT = "TkDefaultFont"


def new(waiting: Waiting, cancel: Cancel) -> Window:
    """The window, not yet shown. Raises Unusable without a screen."""
    try:
        root = tkinter.Tk(className="Cloudcard")
    except tkinter.TclError as error:
        raise Unusable(str(error)) from None
    return Window(root, waiting, cancel)


class Window:
    """One window for all that waits."""

    def __init__(self, root: tkinter.Tk, waiting: Waiting, cancel: Cancel) -> None:
        self._root = root
        self._waiting = waiting
        self._cancel = cancel
        self._drawn: View | None = None
        self._asking = False
        self._ended = False
        self._calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._picture: tkinter.PhotoImage | None = None  # Tk shows it as long as it is kept
        self._scale = max(1.0, root.winfo_fpixels("1i") / USUAL_DPI)
        root.withdraw()
        root.title(texts.TITLE)
        root.resizable(False, False)
        root.protocol("WM_DELETE_WINDOW", self._ask)
        root.bind("<Escape>", lambda _event: self._ask())
        root.attributes("-topmost", True)
        self._styles()
        self._frame = ttk.Frame(root, padding=self._pixels(MARGIN))
        self._frame.pack()
        self._left = ttk.Label(self._frame)
        root.after(TICK_MS, self._tick)

    def run(self) -> None:
        """Show things until `stop`."""
        self._root.mainloop()

    def stop(self) -> None:
        """Close the window and let `run` return."""
        self._ended = True
        self._root.destroy()

    def post(self, call: Callable[[], None]) -> None:
        """Have something called on Tk's thread."""
        self._calls.put(call)

    def refresh(self) -> None:
        """Show what waits, or hide the window."""
        view = self._waiting.view(time.monotonic())
        if view is None:
            if self._drawn is not None:
                self._root.withdraw()
            self._drawn, self._asking = None, False
            return
        before, self._drawn = self._drawn, view
        if before is None or _look(before) != _look(view):
            if before is None or before.operation != view.operation:
                self._asking = False
            self._draw(view)
        self._left.configure(text="" if view.said else texts.clock(view.left))
        if before is None:
            self._place()

    def _tick(self) -> None:
        self._root.after(TICK_MS, self._tick)
        while not self._ended and not self._calls.empty():
            self._calls.get()()
        if self._drawn is not None and not self._ended:
            self.refresh()

    def _styles(self) -> None:
        size = abs(int(font.nametofont(FONT).actual("size")))
        style = ttk.Style(self._root)
        tk_look.follow_desktop(self._root, style)
        family = font.nametofont(FONT).actual("family")
        fixed = font.nametofont("TkFixedFont").actual("family")
        style.configure("Number.TLabel", font=(family, 4 * size, "bold"))
        style.configure("Lead.TLabel", font=(family, size + 1, "bold"))
        style.configure("Check.TLabel", font=(fixed, size + 2, "bold"))

    def _draw(self, view: View) -> None:
        for each in self._frame.winfo_children():
            each.destroy()
        said = view.said or (f"{texts.SURE} {texts.SURE_HINT}" if self._asking else "")
        if said:
            self._label(self._frame, said, "Lead.TLabel", justify="center").pack()
        if not view.said:
            self._draw_top(view).pack()
        facts = ttk.Frame(self._frame)
        facts.pack(pady=self._pixels(GAP))
        for place, (name, value) in enumerate(view.facts):
            style = "Check.TLabel" if value is view.check_code else "TLabel"
            gap = self._pixels(GAP)
            ttk.Label(facts, text=name).grid(row=place, column=0, sticky="ne", padx=gap)
            self._label(facts, value, style).grid(row=place, column=1, sticky="w")
        if view.check_code:
            hint = ttk.Label(facts, text=texts.CHECK_CODE_HINT)
            hint.grid(row=len(view.rows) + 1, column=1, sticky="w")
        self._draw_buttons(view).pack(fill="x")

    def _draw_top(self, view: View) -> ttk.Frame:
        top = ttk.Frame(self._frame)
        if view.number:
            side = ttk.Frame(top)
            ttk.Label(side, text=texts.NUMBER, style="Lead.TLabel").pack()
            ttk.Label(side, text=view.number, style="Number.TLabel").pack()
            ttk.Label(side, text=texts.number_spelt(view.number)).pack()
            side.pack(side="left", padx=self._pixels(GAP))
        if view.qr_label:
            side = ttk.Frame(top)
            label = self._label(side, view.qr_label, "Lead.TLabel", justify="center")
            label.pack(pady=self._pixels(GAP) // 2)
            if view.qr_modules:
                room = self._pixels(QR_ROOM)
                scale = pictures.module_pixels(len(view.qr_modules), room)
                wide, pixels = pictures.rgb(view.qr_modules, scale)
                data = b"P6 %d %d 255\n" % (wide, wide) + pixels
                self._picture = tkinter.PhotoImage(data=data, format="ppm")
                ttk.Label(side, image=self._picture).pack()
            side.pack(side="left", padx=self._pixels(GAP))
        return top

    def _draw_buttons(self, view: View) -> ttk.Frame:
        row = ttk.Frame(self._frame)
        self._left = ttk.Label(row, style="Lead.TLabel")
        self._left.pack(side="left")
        if view.count > 1:
            gap = self._pixels(GAP)
            _button(row, texts.PREVIOUS, lambda: self._turn(-1)).pack(side="left", padx=gap)
            position = texts.POSITION.format(which=view.which, count=view.count)
            ttk.Label(row, text=position).pack(side="left")
            _button(row, texts.NEXT, lambda: self._turn(1)).pack(side="left", padx=gap)
        label = texts.CLOSE if view.said else texts.WITHDRAW if self._asking else texts.CANCEL
        _button(row, label, self._on_main).pack(side="right")
        if self._asking:
            keep = _button(row, texts.KEEP, self._ask)
            keep.pack(side="right", padx=self._pixels(GAP))
            keep.focus_set()
        return row

    def _place(self) -> None:
        """Show the window in the middle of the screen."""
        root = self._root
        root.update_idletasks()
        left = (root.winfo_screenwidth() - root.winfo_reqwidth()) // 2
        top = (root.winfo_screenheight() - root.winfo_reqheight()) // 2
        root.geometry(f"+{max(0, left)}+{max(0, top)}")
        root.deiconify()

    def _turn(self, steps: int) -> None:
        self._waiting.turn(steps)
        self.refresh()

    def _on_main(self) -> None:
        if self._drawn is not None:
            self._waiting.press(self._drawn, self._cancel)
        self._asking = False
        self.refresh()

    def _ask(self) -> None:
        """Escape, or the window's cross: ask before the operation is withdrawn."""
        view = self._drawn
        if view is None:
            return
        if view.said:
            self._on_main()
            return
        self._asking = not self._asking
        self._draw(view)
        self.refresh()

    def _label(self, parent: ttk.Frame, text: str, style: str, justify: str = "left") -> ttk.Label:
        made = ttk.Label(parent, text=text, style=style, wraplength=self._pixels(WRAP))
        made.configure(justify="center" if justify == "center" else "left")
        return made

    def _pixels(self, usual: int) -> int:
        return round(usual * self._scale)


def _look(view: View) -> tuple[object, ...]:
    """All of a view but the time, which alone changes each second."""
    return view.operation, view.said, view.qr_label, view.which, view.count


def _button(row: ttk.Frame, label: str, pressed: Callable[[], None]) -> ttk.Button:
    return ttk.Button(row, text=label, command=pressed)
