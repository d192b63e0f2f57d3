/** Line charts as SVG in page pixels, so that lines and text have the same size at every width. */

const namespace = "http://www.w3.org/2000/svg"

export const shape = (
  name: string,
  attributes: Readonly<Record<string, string | number>>,
  ...children: ReadonlyArray<Node | string>
): SVGElement => {
  const made = document.createElementNS(namespace, name)
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value))
  made.append(...children)
  return made
}

/** Empties an SVG and sets its height; returns its width, which the page's layout determines. */
export const clear = (svg: SVGSVGElement, height: number): number => {
  const width = Math.max(svg.clientWidth, 200)
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`)
  svg.style.height = `${height}px`
  svg.replaceChildren()
  return width
}

export type Point = readonly [x: number, y: number]

export interface Line {
  readonly points: ReadonlyArray<Point>
  readonly classes: string
}

export interface Chart {
  readonly lines: ReadonlyArray<Line>
  readonly dots?: ReadonlyArray<{ readonly at: Point; readonly classes: string }>
  /** Ends of the x and y axes, which start at 0. */
  readonly extent: Point
  readonly xTicks: ReadonlyArray<number>
  readonly yTicks: ReadonlyArray<number>
  readonly formatY: (value: number) => string
  /** Position of a vertical line. */
  readonly marker?: number
}

/** About `count` round numbers from 0 to `end`. */
export const ticks = (end: number, count: number): ReadonlyArray<number> => {
  const rough = end / count
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = power * ([1, 2, 5, 10].find((factor) => factor * power >= rough) ?? 10)
  return Array.from({ length: Math.floor(end / step + 1e-9) + 1 }, (_, i) => i * step)
}

/** SVG path of a line. */
const path = (points: ReadonlyArray<Point>): string =>
  points.map(([x, y], i) => `${i === 0 ? "M" : "L"}${x.toFixed(1)} ${y.toFixed(1)}`).join("")

export const drawChart = (svg: SVGSVGElement, height: number, chart: Chart): void => {
  const width = clear(svg, height)
  const { lines, dots = [], extent, xTicks, yTicks, formatY, marker } = chart
  const [left, right, top, bottom] = [48, 8, 8, 22]
  const x = (value: number) => left + (value / extent[0]) * (width - left - right)
  const y = (value: number) => height - bottom - (Math.min(value, extent[1]) / extent[1]) * (height - top - bottom)
  for (const value of yTicks) {
    svg.append(
      shape("line", { class: "axis", x1: left, x2: width - right, y1: y(value), y2: y(value) }),
      shape("text", { class: "tick", x: left - 8, y: y(value) + 4, "text-anchor": "end" }, formatY(value)),
    )
  }
  for (const value of xTicks)
    svg.append(shape("text", { class: "tick", x: x(value), y: height - 4, "text-anchor": "middle" }, String(value)))
  if (marker !== undefined)
    svg.append(shape("line", { class: "marker", x1: x(marker), x2: x(marker), y1: top, y2: height - bottom }))
  for (const { points, classes } of lines)
    svg.append(shape("path", { class: `line ${classes}`, d: path(points.map(([a, b]) => [x(a), y(b)])) }))
  for (const { at, classes } of dots)
    svg.append(shape("circle", { class: `dot ${classes}`, cx: x(at[0]), cy: y(at[1]), r: 5 }))
}
