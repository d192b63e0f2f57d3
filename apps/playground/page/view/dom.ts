/** The page's elements, and number formats. */

/** The element of index.html with this id. */
export const element = <E extends Element = HTMLElement>(id: string): E => {
  const found = document.getElementById(id)
  if (found === null) throw new Error(`index.html has no element ${id}`)
  return found as unknown as E
}

/** Creates an element. String children become text, never markup. */
export const make = <N extends keyof HTMLElementTagNameMap>(
  name: N,
  attributes: Readonly<Record<string, string>> = {},
  ...children: ReadonlyArray<Node | string>
): HTMLElementTagNameMap[N] => {
  const made = document.createElement(name)
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value)
  made.append(...children)
  return made
}

/** Announces a text to screen readers. */
export const announce = (text: string): void => {
  element("said").textContent = text
}

/** A colour of the style sheet, for canvases. */
export const color = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`)

/** 2061584 → "2.06 MB" */
export const bytes = (count: number): string =>
  count < 1e5 ? `${(count / 1e3).toPrecision(3)} kB` : `${(count / 1e6).toPrecision(3)} MB`

export const milliseconds = (time: number): string => `${time < 100 ? time.toPrecision(2) : Math.round(time)} ms`

/** 0.9523 → "95 %" */
export const percent = (share: number): string => `${Math.round(100 * share)} %`

export const whole = (count: number): string => count.toLocaleString("en")

export const median = (values: ReadonlyArray<number>): number | undefined =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]
