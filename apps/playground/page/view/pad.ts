/** The drawing pad, for pointer and keyboard. */
import { side } from "../protocol.ts"
import { color, element } from "./dom.ts"

export interface Pad {
  /** A copy of the drawing: [side, side], ink from 0 to 1. */
  readonly ink: () => Float32Array
  readonly isBlank: () => boolean
  readonly clear: () => void
  readonly draw: () => void
}

/** Radius of the pen in pixels. */
const penReach = 1.3

/** Sets up the pad. Calls `ended` after each stroke, and `named` when a digit key labels the drawing. */
export const makePad = (ended: () => void, named: (digit: number) => void): Pad => {
  const canvas = element<HTMLCanvasElement>("pad")
  const context = canvas.getContext("2d")!
  const ink = new Float32Array(side * side)
  const pen = { x: side / 2, y: side / 2, down: false }
  let last: { readonly x: number; readonly y: number } | undefined

  const touch = (x: number, y: number): void => {
    for (let row = 0; row < side; row++)
      for (let column = 0; column < side; column++) {
        const distance = Math.hypot(column + 0.5 - x, row + 0.5 - y)
        const i = row * side + column
        ink[i] = Math.max(ink[i]!, Math.min(1, Math.max(0, penReach - distance)))
      }
  }

  const lineTo = (x: number, y: number): void => {
    const from = last ?? { x, y }
    const steps = Math.max(1, Math.ceil(4 * Math.hypot(x - from.x, y - from.y)))
    for (let i = 0; i <= steps; i++) touch(from.x + ((x - from.x) * i) / steps, from.y + ((y - from.y) * i) / steps)
    last = { x, y }
  }

  const draw = (): void => {
    context.fillStyle = color("faint")
    context.fillRect(0, 0, side, side)
    context.fillStyle = color("ink")
    for (let i = 0; i < ink.length; i++) {
      context.globalAlpha = ink[i]!
      context.fillRect(i % side, Math.floor(i / side), 1, 1)
    }
    context.globalAlpha = 1
    if (document.activeElement !== canvas || !canvas.matches(":focus-visible")) return
    context.fillStyle = color(pen.down ? "sltt" : "focus")
    context.fillRect(Math.floor(pen.x), Math.floor(pen.y), 1, 1)
  }

  const clear = (): void => {
    ink.fill(0)
    pen.down = false
    draw()
    ended()
  }

  const placeOf = (event: PointerEvent) => {
    const box = canvas.getBoundingClientRect()
    return [((event.clientX - box.left) / box.width) * side, ((event.clientY - box.top) / box.height) * side] as const
  }
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId)
    last = undefined
    lineTo(...placeOf(event))
    draw()
  })
  canvas.addEventListener("pointermove", (event) => {
    if (last === undefined || !canvas.hasPointerCapture(event.pointerId)) return
    for (const each of event.getCoalescedEvents()) lineTo(...placeOf(each))
    lineTo(...placeOf(event))
    draw()
  })
  const lift = () => {
    if (last === undefined) return
    last = undefined
    ended()
  }
  canvas.addEventListener("pointerup", lift)
  canvas.addEventListener("pointercancel", lift)

  const say = (text: string) => {
    element("pad-said").textContent = text
  }
  const moves: Readonly<Record<string, readonly [number, number]>> = {
    ArrowLeft: [-1, 0],
    ArrowRight: [1, 0],
    ArrowUp: [0, -1],
    ArrowDown: [0, 1],
  }
  const within = (value: number) => Math.min(side - 0.5, Math.max(0.5, value))
  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return
    const move = moves[event.key]
    if (move) {
      pen.x = within(Math.floor(pen.x) + 0.5 + move[0])
      pen.y = within(Math.floor(pen.y) + 0.5 + move[1])
      if (pen.down) lineTo(pen.x, pen.y)
      say(`column ${Math.ceil(pen.x)}, row ${Math.ceil(pen.y)}${pen.down ? ", drawing" : ""}`)
    } else if (event.key === " ") {
      pen.down = !pen.down
      last = undefined
      if (pen.down) lineTo(pen.x, pen.y)
      else ended()
      last = pen.down ? { x: pen.x, y: pen.y } : undefined
      say(pen.down ? "pen down" : "pen up")
    } else if (event.key === "Delete" || event.key === "Backspace") {
      clear()
      say("cleared")
    } else if (/^[0-9]$/.test(event.key)) named(Number(event.key))
    else return
    event.preventDefault()
    draw()
  })
  canvas.addEventListener("focus", draw)
  canvas.addEventListener("blur", draw)
  draw()
  return { ink: () => ink.slice(), isBlank: () => ink.every((value) => value === 0), clear, draw }
}
