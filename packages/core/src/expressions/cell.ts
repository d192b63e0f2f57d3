/**
 * A cell: what an expression computes of one element at one time step, with the states that it leaves for the next.
 *
 * From the step alone follows what is stored between steps, the forward code and, for the edges that a policy leaves, the backward
 * code. Leaves of a cell's code are `x0` … (inputs), `p0` … (parameters) and `s.0` … (states before the step).
 */
import { type Code, decode, encode, executable } from "./code.ts"
import { differentiate } from "./differentiate.ts"
import type { ElementwiseBackward, ElementwiseForward } from "./elementwise.ts"
import { type Expression, leaf, of, operandsOf, rewrite } from "./expression.ts"
import { storedOf } from "./storage.ts"

export interface Cell {
  readonly inputs: number
  readonly parameters: number
  /** Names of the states, which are those of the temporal edges from one step to the next. */
  readonly states: ReadonlyArray<string>
  /** Values of the states before the first step. */
  readonly initial: ReadonlyArray<number>
  readonly code: Code
  /** Places in the code of the new states and of the output. */
  readonly next: ReadonlyArray<number>
  readonly output: number
  /** Spikes fire the surrogate's primitive in place of the step: for checking gradients. */
  readonly smooth?: true
}

/** What follows from a cell. */
export interface Unfolded {
  /** Values stored for each element. */
  readonly planes: number
  /** What they are before the first step. */
  readonly rest: ReadonlyArray<number>
  readonly forward: ElementwiseForward
  /** Whether the output is 0 or 1. */
  readonly spikes: boolean
  /** Whether the backward direction, with every edge left, needs what this step stored, what the one before did, and inputs by number. */
  readonly needs: { readonly state: boolean; readonly before: boolean; readonly inputs: ReadonlySet<number> }
  readonly backward: (request: BackwardRequest) => ElementwiseBackward
  /** The factor by which a state passes to the next step, as a number or the number of a parameter, where it is either. */
  readonly decay: (state: number) => number | { readonly parameter: number } | undefined
  /** A state behind a step, of what the step stored. */
  readonly read: (state: number) => { readonly code: Code; readonly y: number }
  /** What a step stores and gives, of `x0` …, `p0` … and the states `s.0` … before it; these, of what the step before it stored, `before.0` …. */
  readonly stored: ReadonlyArray<Expression>
  readonly output: Expression
  readonly before: ReadonlyArray<Expression>
  /** The forward code of expressions of these leaves. */
  readonly encoded: (roots: ReadonlyArray<Expression>) => ReturnType<typeof encode>
}

export interface BackwardRequest {
  readonly isCut: (edge: string) => boolean
  /** Whether a gradient of the output arrives, and gradients of states, of those whose edges are not cut. */
  readonly output: boolean
  readonly carried: boolean
  /** Whether the gradients of inputs and parameters are wanted; a number adds one to that of the input or parameter so numbered. */
  readonly inputs: ReadonlyArray<boolean | number>
  readonly parameters: ReadonlyArray<boolean | number>
}

const known = new WeakMap<Cell, Unfolded>()

/** What follows from a cell; worked out once for each. */
export const unfold = (cell: Cell): Unfolded => {
  const found = known.get(cell)
  if (found) return found
  const made = make(cell)
  known.set(cell, made)
  return made
}

const make = (cell: Cell): Unfolded => {
  const { smooth = false, initial } = cell
  const all = decode(cell.code)
  const next = cell.next.map((place) => all[place] as Expression)
  const output = all[cell.output] as Expression

  const varies = (name: string) => !name.startsWith("p")
  const smallest = storedOf(next, varies)
  const restored = restore(next, smallest)
  // Where planes of 0 do not stand for the states at the beginning, the states themselves are stored.
  const isAtRest = restored.every((state, k) => rested(state, smooth) === Math.fround(initial[k] as number))
  const stored = isAtRest && smallest.length <= next.length ? smallest : next
  const before = isAtRest ? restored : next.map((_, k) => leaf(`before.${k}`))

  /** Values of the forward direction, in terms of what is stored before and behind the step. */
  const recalled = (roots: ReadonlyArray<Expression>, behind: boolean) =>
    executable(
      rewrite(roots, (original) => {
        const plane = behind ? stored.indexOf(original) : -1
        if (plane >= 0 && original.form.kind !== "leaf") return leaf(`state.${plane}`)
        const { form } = original
        return form.kind === "leaf" && form.name.startsWith("s.") ? before[Number(form.name.slice(2))] : undefined
      }),
      smooth,
    )

  const encoded: Unfolded["encoded"] = (roots) => encode(recalled(roots, false))
  const forward = encoded([...stored, output])
  const backward = ({ isCut, output: arrives, carried, inputs, parameters }: BackwardRequest): ElementwiseBackward => {
    const uncut = carried ? cell.states.flatMap((edge, k) => (isCut(edge) ? [] : [k])) : []
    const gradients = differentiate(
      [
        ...uncut.map((k, plane) => [next[k] as Expression, leaf(`carry.${plane}`)] as const),
        ...(arrives ? [[output, leaf("dy")] as const] : []),
      ],
      isCut,
    )
    const gradientOf = (leaf: string) => gradients.get(leaf) ?? of(0)
    const sums = (letter: string, all: ReadonlyArray<boolean | number>) =>
      all.flatMap((own, i) => {
        const added = all.flatMap((to, j) => (to === i ? [gradientOf(`${letter}${j}`)] : []))
        return own === true ? [added.reduce((sum, each) => sum.plus(each), gradientOf(`${letter}${i}`))] : []
      })
    const wanted = [...uncut.map((k) => gradientOf(`s.${k}`)), ...sums("x", inputs), ...sums("p", parameters)]
    const { code, places } = encode(recalled(wanted, true))
    let at = uncut.length
    const placed = (own: boolean | number) => (own === true ? (places[at++] as number) : -1)
    return { code, carry: places.slice(0, uncut.length), dx: inputs.map(placed), dp: parameters.map(placed) }
  }
  const full = backward({
    isCut: () => false,
    output: true,
    carried: true,
    inputs: Array.from({ length: cell.inputs }, () => true),
    parameters: Array.from({ length: cell.parameters }, () => true),
  })
  const read = full.code.flatMap(([op, name]) => (op === "leaf" ? [name as string] : []))
  return {
    planes: stored.length,
    rest: isAtRest ? stored.map(() => 0) : initial,
    forward: {
      code: forward.code,
      state: forward.places.slice(0, -1),
      y: forward.places.at(-1) as number,
    },
    spikes: !smooth && isBinary(output),
    needs: {
      state: read.some((name) => name.startsWith("state.")),
      before: read.some((name) => name.startsWith("before.")),
      inputs: new Set(read.flatMap((name) => (name.startsWith("x") ? [Number(name.slice(1))] : []))),
    },
    backward,
    read: (k) => {
      const { code, places } = encoded([leaf(`s.${k}`)])
      return { code, y: places[0] as number }
    },
    decay: (k) => {
      // Of a state that a spike resets, what is stored may be the value before the reset.
      const slopes = [next[k], ...stored].flatMap((value) =>
        value ? [differentiate([[value, of(1)]], () => true).get(`s.${k}`)] : [],
      )
      for (const slope of slopes) {
        if (slope?.constant !== undefined) return slope.constant
        if (slope?.form.kind === "leaf" && slope.form.name.startsWith("p"))
          return { parameter: Number(slope.form.name.slice(1)) }
      }
      return slopes.every((slope) => slope === undefined) ? 0 : undefined
    },
    stored,
    output,
    before,
    encoded,
  }
}

/** The states before a step, from what the step before it stored. */
const restore = (next: ReadonlyArray<Expression>, stored: ReadonlyArray<Expression>) =>
  rewrite(next, (original) => {
    const plane = stored.indexOf(original)
    return plane < 0 ? undefined : leaf(`before.${plane}`)
  })

/** The value of an expression of which all that was stored is 0; undefined where it depends on parameters. */
const rested = (state: Expression, smooth: boolean): number | undefined =>
  rewrite(executable([state], smooth), ({ form }) =>
    form.kind === "leaf" && form.name.startsWith("before.") ? of(0) : undefined,
  )[0]?.constant

const isBinary = ({ form }: Expression): boolean => {
  if (form.kind === "select") return isBinary(form.a) && isBinary(form.b)
  if (form.kind === "constant") return form.value === 0 || form.value === 1
  return form.kind === "fire" || (form.kind === "binary" && (form.op === "atLeast" || form.op === "greater"))
}

/** Names of the temporal edges of a cell: its states, and those that its routes name. */
export const edgesOf = (cell: Cell): ReadonlySet<string> =>
  new Set([...cell.states, ...cell.code.flatMap((line) => (line[0] === "route" ? [line[1]] : []))])

/** All expressions below some. */
export const below = (roots: ReadonlyArray<Expression>): ReadonlySet<Expression> => {
  const found = new Set<Expression>()
  const visit = (expression: Expression): void => {
    if (found.has(expression)) return
    found.add(expression)
    operandsOf(expression).forEach(visit)
  }
  roots.forEach(visit)
  return found
}
