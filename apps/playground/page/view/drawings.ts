/** The user's drawings: stored in this browser, shown and counted. */
import { type Drawing, side } from "../protocol.ts"
import { element, make } from "./dom.ts"
import { paint } from "./inside.ts"

const key = "spikeroute-drawings"

/** A drawing as text: its digit, then one hexadecimal digit per pixel for the ink. */
const encode = ({ ink, digit }: Drawing): string =>
  `${digit}${Array.from(ink, (value) => Math.round(15 * value).toString(16)).join("")}`
const decode = (text: string): Drawing => ({
  digit: Number(text[0]),
  ink: Float32Array.from(text.slice(1), (figure) => Number.parseInt(figure, 16) / 15),
})
const isDrawing = new RegExp(`^[0-9][0-9a-f]{${side * side}}$`)

/** The stored drawings. Storage may be denied, full or contain data of another version: then there are none. */
const stored = (): ReadonlyArray<Drawing> => {
  try {
    return (localStorage.getItem(key) ?? "")
      .split(" ")
      .filter((text) => isDrawing.test(text))
      .map(decode)
  } catch {
    return []
  }
}

let drawings = stored()
export const allDrawings = (): ReadonlyArray<Drawing> => drawings

/** Whether there are at least two different digits. */
export const canTrain = (): boolean => new Set(drawings.map(({ digit }) => digit)).size >= 2

const change = (next: ReadonlyArray<Drawing>): void => {
  drawings = next
  try {
    localStorage.setItem(key, drawings.map(encode).join(" "))
  } catch {
    // The drawings last until the page is closed.
  }
  showDrawings()
}
export const addDrawing = (drawing: Drawing): void => change([...drawings, drawing])
export const forgetLast = (): void => change(drawings.slice(0, -1))

export const showDrawings = (): void => {
  element("drawings").replaceChildren(
    ...drawings.map(({ ink, digit }, i) => {
      const canvas = make("canvas", { role: "img", "aria-label": `drawing ${i + 1}: ${digit}`, title: String(digit) })
      paint(canvas, [ink], 1, 1)
      return make("li", {}, canvas)
    }),
  )
  const counts = Array.from({ length: 10 }, (_, digit) => drawings.filter((each) => each.digit === digit).length)
  for (const [digit, count] of counts.entries()) {
    const button = element("digits").children[digit]
    if (button) button.querySelector("small")!.textContent = count === 0 ? "–" : `× ${count}`
  }
  element<HTMLButtonElement>("forget").disabled = drawings.length === 0
  const kinds = counts.filter((count) => count > 0).length
  element("drawings-status").textContent = canTrain()
    ? `${drawings.length} drawings of ${kinds} digits. More drawings of each digit improve accuracy.`
    : "Draw at least two different digits to start training."
}
