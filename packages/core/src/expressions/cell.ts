/**
 * A cell: the expressions that compute an element's output at one time step and its states for the next step.
 *
 * What is stored between steps, the forward code, and the backward code for the temporal edges that the policy does not
 * cut are all derived from this one step. Leaves of a cell's code are `x0` … (inputs), `p0` … (parameters) and `s.0` …
 * (states before the step).
 */
import { type Code, decode, encode, executable } from "./code.ts"
import { differentiate } from "./differentiate.ts"
import type { ElementwiseBackward, ElementwiseForward } from "./elementwise.ts"
import { type Expression, leaf, of, operandsOf, rewrite } from "./expression.ts"
import { storedOf } from "./storage.ts"

/** An elementwise computation with state, as data. */
export interface Cell {
  readonly inputs: number
  readonly parameters: number
  /** Names of the states, which are also the names of the temporal edges between steps. */
  readonly states: ReadonlyArray<string>
  /** Values of the states before the first step. */
  readonly initial: ReadonlyArray<number>
  readonly code: Code
  /** Indices in `code` of the new states, and of the output. */
  readonly next: ReadonlyArray<number>
  readonly output: number
  /** Smooth mode: a spike is the surrogate's primitive instead of the step function. For gradient checks. */
  readonly smooth?: true
}

/** Everything derived from a cell. */
export interface Unfolded {
  /** Number of values stored per element. */
  readonly planes: number
  /** Stored values before the first step. */
  readonly rest: ReadonlyArray<number>
  readonly forward: ElementwiseForward
  /** Whether the output is 0 or 1. */
  readonly spikes: boolean
  /**
   * What the backward direction reads when no edge is cut: values stored by this step (`state`), by the previous step
   * (`before`), and inputs by index.
   */
  readonly needs: { readonly state: boolean; readonly before: boolean; readonly inputs: ReadonlySet<number> }
  readonly backward: (request: BackwardRequest) => ElementwiseBackward
  /**
   * The factor from a state to the same state of the next step: a number, or the index of a parameter; `undefined` if
   * it is neither.
   */
  readonly decay: (state: number) => number | { readonly parameter: number } | undefined
  /** Code that computes a state after a step from the values that the step stored. */
  readonly read: (state: number) => { readonly code: Code; readonly y: number }
  /**
   * The values that a step stores and its output, in terms of the leaves `x0` …, `p0` … and the previous states `s.0`
   * …; and those states in terms of the values that the previous step stored, `before.0` ….
   */
  readonly stored: ReadonlyArray<Expression>
  readonly output: Expression
  readonly before: ReadonlyArray<Expression>
  /** The forward code of expressions over these leaves. */
  readonly encoded: (roots: ReadonlyArray<Expression>) => ReturnType<typeof encode>
}

/** Which gradients arrive at a cell and which are wanted. */
export interface BackwardRequest {
  readonly isCut: (edge: string) => boolean
  /** Whether a gradient of the output arrives, and whether gradients arrive for the states whose edges are not cut. */
  readonly output: boolean
  readonly carried: boolean
  /**
   * For each input and each parameter: whether its gradient is wanted. A number j adds the gradient to that of input or
   * parameter j.
   */
  readonly inputs: ReadonlyArray<boolean | number>
  readonly parameters: ReadonlyArray<boolean | number>
}

const unfolded = new WeakMap<Cell, Unfolded>()

/** Everything derived from a cell, computed once per cell. */
export const unfold = (cell: Cell): Unfolded => {
  const found = unfolded.get(cell)
  if (found) return found
  const made = make(cell)
  unfolded.set(cell, made)
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
  // If stored zeros do not represent the initial states, the states themselves are stored.
  const startsAtZero = restored.every((state, k) => valueAtZero(state, smooth) === Math.fround(initial[k] as number))
  const stored = startsAtZero && smallest.length <= next.length ? smallest : next
  const before = startsAtZero ? restored : next.map((_, k) => leaf(`before.${k}`))

  /**
   * Expressions of the forward direction in terms of the values stored before the step or, with `afterStep`, also by
   * the step.
   */
  const inStoredTerms = (roots: ReadonlyArray<Expression>, afterStep: boolean) =>
    executable(
      rewrite(roots, (original) => {
        const plane = afterStep ? stored.indexOf(original) : -1
        if (plane >= 0 && original.form.kind !== "leaf") return leaf(`state.${plane}`)
        const { form } = original
        return form.kind === "leaf" && form.name.startsWith("s.") ? before[Number(form.name.slice(2))] : undefined
      }),
      smooth,
    )

  const encoded: Unfolded["encoded"] = (roots) => encode(inStoredTerms(roots, false))
  const forward = encoded([...stored, output])
  const backward = ({
    isCut,
    output: hasOutputGradient,
    carried,
    inputs,
    parameters,
  }: BackwardRequest): ElementwiseBackward => {
    const uncut = carried ? cell.states.flatMap((edge, k) => (isCut(edge) ? [] : [k])) : []
    const gradients = differentiate(
      [
        ...uncut.map((k, plane) => [next[k] as Expression, leaf(`carry.${plane}`)] as const),
        ...(hasOutputGradient ? [[output, leaf("dy")] as const] : []),
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
    const { code, places } = encode(inStoredTerms(wanted, true))
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
    rest: startsAtZero ? stored.map(() => 0) : initial,
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
      // For a state that a spike resets, the stored value may be the one before the reset.
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

/** The states before a step, from the values that the previous step stored. */
const restore = (next: ReadonlyArray<Expression>, stored: ReadonlyArray<Expression>) =>
  rewrite(next, (original) => {
    const plane = stored.indexOf(original)
    return plane < 0 ? undefined : leaf(`before.${plane}`)
  })

/** The value of a state if all stored values are 0; `undefined` if it depends on parameters. */
const valueAtZero = (state: Expression, smooth: boolean): number | undefined =>
  rewrite(executable([state], smooth), ({ form }) =>
    form.kind === "leaf" && form.name.startsWith("before.") ? of(0) : undefined,
  )[0]?.constant

const isBinary = ({ form }: Expression): boolean => {
  if (form.kind === "select") return isBinary(form.a) && isBinary(form.b)
  if (form.kind === "constant") return form.value === 0 || form.value === 1
  return form.kind === "fire" || (form.kind === "binary" && (form.op === "atLeast" || form.op === "greater"))
}

/** Names of the temporal edges of a cell: its states and its routes. */
export const edgesOf = (cell: Cell): ReadonlySet<string> =>
  new Set([...cell.states, ...cell.code.flatMap((line) => (line[0] === "route" ? [line[1]] : []))])

/** The roots and all expressions that they depend on. */
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
