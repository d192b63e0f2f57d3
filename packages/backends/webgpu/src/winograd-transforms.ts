/**
 * The transforms of Winograd's minimal filtering F(4 × 4, 3 × 3) in WGSL, with the interpolation points 0, ±√½, ±√2 and ∞: the same
 * matrices as the CPU kernels' (winograd-tiles.h).
 */
import { range } from "./shader.ts"

/** Points of a 6 × 6 patch. */
export const points = 36

/** Statements that use element (i, j) of a transform's result. */
export type Put = (i: number, j: number, value: string) => string

/** A matrix's elements as WGSL, and the statements that they require. */
export interface Matrix {
  readonly before: string
  readonly at: (i: number, j: number) => string
}

/** A transform along one axis. The names of its shared subexpressions start with `own`. */
type Axis = (
  from: ReadonlyArray<string>,
  own: string,
) => { readonly common: string; readonly to: ReadonlyArray<string> }

const root = "1.41421356237f"
const commonOf = (own: string, parts: Readonly<Record<string, string>>): string =>
  Object.entries(parts)
    .map(([name, value]) => `let ${own}${name} = ${value};`)
    .join(" ")

/** Bᵀ·d */
export const patchAxis: Axis = ([d0, d1, d2, d3, d4, d5], own) => ({
  common: commonOf(own, {
    a: `${d4} - 2f * ${d2}`,
    b: `${root} * (0.5f * ${d3} - ${d1})`,
    c: `${d4} - 0.5f * ${d2}`,
    d: `${root} * (${d3} - 0.5f * ${d1})`,
  }),
  to: [
    `${d0} + ${d4} - 2.5f * ${d2}`,
    `${own}a + ${own}b`,
    `${own}a - ${own}b`,
    `${own}c + ${own}d`,
    `${own}c - ${own}d`,
    `${d1} + ${d5} - 2.5f * ${d3}`,
  ],
})

/** G·g */
export const weightAxis: Axis = ([g0, g1, g2], own) => ({
  common: commonOf(own, {
    a: `${root} / 6f * ${g1}`,
    b: `-2f / 3f * ${g0} - ${g2} / 3f`,
    c: `${g0} / 6f + ${g2} / 3f`,
  }),
  to: [`${g0}`, `${own}b - 2f * ${own}a`, `${own}b + 2f * ${own}a`, `${own}c + ${own}a`, `${own}c - ${own}a`, `${g2}`],
})

/** Aᵀ·m */
export const tileAxis: Axis = ([m0, m1, m2, m3, m4, m5], own) => ({
  common: commonOf(own, {
    a: `${m1} + ${m2}`,
    b: `${root} / 2f * (${m1} - ${m2})`,
    c: `${m3} + ${m4}`,
    d: `${root} * (${m3} - ${m4})`,
  }),
  to: [
    `${m0} + ${own}a + ${own}c`,
    `${own}b + ${own}d`,
    `0.5f * ${own}a + 2f * ${own}c`,
    `0.5f * ${own}b + 2f * ${own}d + ${m5}`,
  ],
})

/** A·∂y */
export const tileGradientAxis: Axis = ([y0, y1, y2, y3], own) => ({
  common: commonOf(own, {
    a: `${y0} + 0.5f * ${y2}`,
    b: `${root} / 2f * (${y1} + 0.5f * ${y3})`,
    c: `${y0} + 2f * ${y2}`,
    d: `${root} * (${y1} + 2f * ${y3})`,
  }),
  to: [`${y0}`, `${own}a + ${own}b`, `${own}a - ${own}b`, `${own}c + ${own}d`, `${own}c - ${own}d`, `${y3}`],
})

/** Gᵀ·m */
export const weightGradientAxis: Axis = ([m0, m1, m2, m3, m4, m5], own) => ({
  common: commonOf(own, { a: `${m1} + ${m2}`, b: `${m3} + ${m4}` }),
  to: [
    `${m0} - 2f / 3f * ${own}a + ${own}b / 6f`,
    `${root} / 3f * (${m2} - ${m1}) + ${root} / 6f * (${m3} - ${m4})`,
    `(${own}b - ${own}a) / 3f + ${m5}`,
  ],
})

/** Applies a transform to both axes of a square matrix; `put` receives each element of the result. */
export const both = (axis: Axis, from: number, matrix: Matrix, put: Put): string => {
  const rows = range(from).map((i) => {
    const elements = range(from).map((j) => `m_${i}_${j}`)
    const { common, to } = axis(elements, `r_${i}`)
    const load = elements.map((name, j) => `let ${name} = ${matrix.at(i, j)};`).join(" ")
    return {
      text: `${load}\n    ${common} ${to.map((value, j) => `let h_${i}_${j} = ${value};`).join(" ")}`,
      count: to.length,
    }
  })
  const columns = range(rows[0]?.count ?? 0).map((j) => {
    const { common, to } = axis(
      range(from).map((i) => `h_${i}_${j}`),
      `c_${j}`,
    )
    return `${common} ${to.map((value, i) => put(i, j, value)).join(" ")}`
  })
  return [matrix.before, ...rows.map(({ text }) => text), ...columns].join("\n    ")
}
