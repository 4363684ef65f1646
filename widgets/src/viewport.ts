const MOST_HEIGHT = 320;
const MOST_SCALE = 4;
/** Pixels that a pointer has to move before a press is a drag and no click. */
const DRAG = 4;

/** A drawing in its frame: fitted, or zoomed and panned. It is never smaller than fitted. */
export class Viewport {
  private drawing: SVGSVGElement | undefined;
  private size = { width: 1, height: 1 };
  /** undefined: fitted. */
  private scale: number | undefined;
  private dragged = false;

  constructor(
    private readonly frame: HTMLElement,
    private readonly rescaled: (scale: number, fitting: number) => void,
  ) {
    frame.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    frame.addEventListener("pointerdown", (event) => this.press(event));
    // what is pressed gets the focus when it turns out to be clicked, not dragged
    frame.addEventListener("mousedown", (event) => event.button === 0 && event.preventDefault());
    frame.addEventListener("click", (event) => this.endOfDrag(event), { capture: true });
  }

  show(drawing: SVGSVGElement | undefined): void {
    this.drawing = drawing;
    this.size = {
      width: Number(drawing?.getAttribute("width")) || 1,
      height: Number(drawing?.getAttribute("height")) || 1,
    };
    this.refresh();
  }

  /** Show the whole drawing. */
  fit(): void {
    this.scale = undefined;
    this.refresh();
  }

  zoomTo(scale: number, at?: { x: number; y: number }): void {
    const box = this.frame.getBoundingClientRect();
    const x = at ? at.x - box.left : box.width / 2;
    const y = at ? at.y - box.top : box.height / 2;
    const before = this.current;
    this.scale = scale <= this.fitting ? undefined : Math.min(MOST_SCALE, scale);
    this.refresh();
    const grown = this.current / before;
    this.frame.scrollLeft = (this.frame.scrollLeft + x) * grown - x;
    this.frame.scrollTop = (this.frame.scrollTop + y) * grown - y;
  }

  zoomBy(factor: number, at?: { x: number; y: number }): void {
    this.zoomTo(this.current * factor, at);
  }

  /** Bring the drawing to its scale, after the frame has changed its size. */
  refresh(): void {
    if (!this.drawing || !this.frame.clientWidth) return;
    const scale = this.current;
    this.drawing.setAttribute("width", String(Math.floor(this.size.width * scale)));
    this.drawing.setAttribute("height", String(Math.floor(this.size.height * scale)));
    this.frame.classList.toggle("fb-zoomed", this.scale !== undefined);
    this.rescaled(scale, this.fitting);
  }

  private get fitting(): number {
    return Math.min(1, (this.frame.clientWidth - 2) / this.size.width, MOST_HEIGHT / this.size.height);
  }

  private get current(): number {
    return Math.max(this.scale ?? 0, this.fitting);
  }

  private wheel(event: WheelEvent): void {
    if (event.ctrlKey) this.zoomBy(Math.exp(-event.deltaY / 300), { x: event.clientX, y: event.clientY });
    else if (event.shiftKey) this.frame.scrollLeft += event.deltaY || event.deltaX;
    else return;
    event.preventDefault();
  }

  private press(down: PointerEvent): void {
    this.dragged = false;
    if (down.button !== 0 || down.pointerType === "touch") return; // a finger scrolls the frame by itself
    const { scrollLeft, scrollTop } = this.frame;
    const stop = new AbortController();
    const move = (event: PointerEvent) => {
      const [x, y] = [event.clientX - down.clientX, event.clientY - down.clientY];
      if (!this.dragged && Math.hypot(x, y) < DRAG) return;
      this.dragged = true;
      this.frame.classList.add("fb-panning");
      this.frame.scrollLeft = scrollLeft - x;
      this.frame.scrollTop = scrollTop - y;
    };
    const end = () => {
      stop.abort();
      this.frame.classList.remove("fb-panning");
    };
    for (const type of ["pointerup", "pointercancel"])
      window.addEventListener(type, end, { signal: stop.signal });
    window.addEventListener("pointermove", move, { signal: stop.signal });
  }

  /** The click that ends a drag selects nothing. */
  private endOfDrag(event: Event): void {
    if (!this.dragged) return;
    this.dragged = false;
    event.preventDefault();
    event.stopPropagation();
  }
}
