/** The op of all elementwise layers: a cell of expressions over inputs of one shape, parameters and states. */
import { Schema } from "effect"
import { type Cell, edgesOf, unfold } from "../expressions/cell.ts"
import { encode, isCode } from "../expressions/code.ts"
import { elementwiseBackward, elementwiseForward, mostInputs, mostParameters } from "../expressions/elementwise.ts"
import { type Expression, leaf } from "../expressions/expression.ts"
import { type Input, make, type Op, type Ref, type ValueType } from "../op.ts"
import { must } from "../options.ts"
import { equals, format, type Shape, size } from "../shape.ts"

/** Attributes of an elementwise node: a cell, and the kind of layer. */
export interface ElementwiseAttributes extends Cell {
  /** The kind of layer, such as `lif`. */
  readonly kind: string
}

const isCount = (value: unknown, least: number, most: number): boolean =>
  Number.isInteger(value) && (value as number) >= least && (value as number) <= most

/** Whether a value is a valid cell. Checked by hand, because a Schema could not name a faulty option within a code. */
const isCell = (cell: unknown): boolean => {
  const { kind, inputs, parameters, states, initial, code, next, output, smooth, ...others } = (cell ?? {}) as Readonly<
    Record<keyof ElementwiseAttributes, unknown>
  >
  const lists = [states, initial, next]
  if (!lists.every(Array.isArray) || !isCount(inputs, 1, mostInputs) || !isCount(parameters, 0, mostParameters))
    return false
  // Array.from turns the holes of sparse arrays into undefined.
  const [names, values, places] = lists.map((list) => Array.from(list as ArrayLike<unknown>)) as [
    Array<unknown>,
    Array<unknown>,
    Array<unknown>,
  ]
  const counts: Readonly<Record<string, number>> = { x: inputs as number, p: parameters as number, "s.": names.length }
  const isLeaf = (name: string) => {
    const [, letter = "", number] = /^(x|p|s\.)(\d{1,4})$/.exec(name) ?? []
    return number !== undefined && Number(number) < (counts[letter] as number)
  }
  return (
    typeof kind === "string" &&
    names.every((name) => typeof name === "string") &&
    new Set(names).size === places.length &&
    names.length === places.length &&
    values.length === places.length &&
    values.every((value) => Number.isFinite(value)) &&
    isCode(code, isLeaf) &&
    [...places, output].every((place) => isCount(place, 0, code.length - 1)) &&
    (smooth === undefined || smooth === true) &&
    Object.keys(others).length === 0
  )
}

const CellSchema = Schema.Unknown.check(
  must("a cell of expressions from Neuron.make", isCell),
) as unknown as Schema.Codec<ElementwiseAttributes>

/** Whether a parameter can be broadcast over a value: one number, one per channel, or one per element. */
const fits = (parameter: Shape, value: Shape): boolean => [1, value.at(-1) ?? 1, size(value)].includes(size(parameter))

const numbered = (letter: string, refs: ReadonlyArray<Ref | undefined>): Readonly<Record<string, Ref | undefined>> =>
  Object.fromEntries(refs.map((ref, i) => [`${letter}${i}`, ref]))

/** Which gradients are wanted. Gradients for the same buffer are summed first: the later ones refer to the first by index. */
const wantedOf = (refs: ReadonlyArray<Ref | undefined>): ReadonlyArray<boolean | number> =>
  refs.map((ref, i) => {
    if (ref === undefined) return false
    const first = refs.findIndex((other) => other?.buffer === ref.buffer && other.lag === ref.lag)
    return first < i ? first : true
  })

/** The rules of an op defined by a cell. */
const rulesOf = <A>(
  cellOf: (attributes: A) => Cell,
): Pick<Op<A>, "infer" | "forward" | "backward"> & Required<Pick<Op<A>, "routes" | "cell" | "state">> => ({
  infer: (types, given, fail) => {
    const cell = cellOf(given)
    const { inputs } = cell
    const [first, ...others] = types.slice(0, inputs)
    const shape = first!.shape
    for (const other of others) {
      if (!equals(other.shape, shape))
        fail(`its inputs are ${format(shape)} and ${format(other.shape)}; they must have the same shape`)
      if (other.batched !== first!.batched) fail("activations and parameters cannot be mixed as inputs")
    }
    for (const parameter of types.slice(inputs))
      if (!fits(parameter.shape, shape))
        fail(
          `a parameter of ${format(parameter.shape)} does not go with elements of ${format(shape)}; it must be one number, one a channel or one an element`,
        )
    return { shape, elements: unfold(cell).spikes ? "spikes" : "float32", batched: first!.batched }
  },
  routes: (given) => [...edgesOf(cellOf(given))],
  cell: cellOf,
  state: (given) => {
    const cell = cellOf(given)
    const { planes, needs, decay, rest, read } = unfold(cell)
    if (planes === 0) return undefined
    const at = Math.max(0, cell.states.indexOf("membrane"))
    const found = decay(at)
    return {
      planes,
      rest,
      kept: needs.state,
      keptBefore: needs.before,
      edges: cell.states,
      decay: typeof found === "object" ? { input: cell.inputs + found.parameter } : found,
      read: (edge) => ({ ...read(edge), firstParameter: cell.inputs }),
    }
  },
  forward: ({ emit, input, output, state, attributes }) => {
    const cell = cellOf(attributes)
    const { forward, planes } = unfold(cell)
    const at = planes > 0 ? state() : undefined
    emit(
      elementwiseForward,
      {
        ...numbered(
          "x",
          Array.from({ length: cell.inputs }, (_, i) => input(i)),
        ),
        before: at?.before,
        ...numbered(
          "p",
          Array.from({ length: cell.parameters }, (_, j) => input(cell.inputs + j)),
        ),
        state: at?.now,
        y: output,
      },
      { ...forward },
    )
  },
  backward: ({ emit, input, state, outputGradient, carry, gradient, isCut, attributes }) => {
    if (outputGradient === undefined && carry === undefined) return
    const cell = cellOf(attributes)
    const { backward, planes } = unfold(cell)
    const { inputs, parameters } = cell
    const dx = Array.from({ length: inputs }, (_, i) => gradient(i))
    const dp = Array.from({ length: parameters }, (_, j) => gradient(inputs + j))
    const code = backward({
      isCut,
      output: outputGradient !== undefined,
      carried: carry !== undefined,
      inputs: wantedOf(dx),
      parameters: wantedOf(dp),
    })
    const targets = (refs: ReadonlyArray<Ref | undefined>) =>
      wantedOf(refs).map((wanted, i) => (wanted === true ? refs[i] : undefined))
    const read = new Set(code.code.flatMap(([op, name]) => (op === "leaf" ? [String(name).split(".")[0]] : [])))
    const at = planes > 0 ? state() : undefined
    const wanted = (name: string, ref: () => Ref | undefined) => (read.has(name) ? ref() : undefined)
    emit(
      elementwiseBackward,
      {
        ...numbered(
          "x",
          Array.from({ length: inputs }, (_, i) => wanted(`x${i}`, () => input(i))),
        ),
        before: wanted("before", () => at?.before),
        state: wanted("state", () => at?.now),
        ...numbered(
          "p",
          Array.from({ length: parameters }, (_, j) => wanted(`p${j}`, () => input(inputs + j))),
        ),
        dy: outputGradient,
        carry,
        ...numbered("dx", targets(dx)),
        ...numbered("dp", targets(dp)),
      },
      { ...code },
    )
  },
})

export const elementwiseOp = make<ElementwiseAttributes>({
  name: "elementwise",
  attributes: CellSchema,
  inputs: ({ inputs, parameters }) => [
    ...Array.from({ length: inputs }, () => "value" as const),
    ...Array.from({ length: parameters }, () => "parameter" as const),
  ],
  ...rulesOf<ElementwiseAttributes>((cell) => cell),
})

interface Expressed<A> extends Pick<Op<A>, "name" | "attributes" | "view" | "recompute"> {
  /** The inputs; parameters come last. */
  readonly inputs: ReadonlyArray<Input>
  readonly body: (inputs: ReadonlyArray<Expression>, attributes: A) => Expression
  /** Further checks of the input types. */
  readonly check?: (types: ReadonlyArray<ValueType>, attributes: A, fail: (reason: string) => never) => void
}

/** A named, stateless op defined by an expression of its inputs. */
export const expressed = <A extends object>({ body, check, ...op }: Expressed<A>): Op<A> => {
  const parameters = op.inputs.filter((input) => input === "parameter").length
  const inputs = op.inputs.length - parameters
  const cells = new WeakMap<A, Cell>()
  const cellOf = (attributes: A): Cell => {
    const known = cells.get(attributes)
    if (known) return known
    const leaves = op.inputs.map((_, i) => leaf(i < inputs ? `x${i}` : `p${i - inputs}`))
    const { code, places } = encode([body(leaves, attributes)])
    const cell = { inputs, parameters, states: [], initial: [], code, next: [], output: places[0] as number }
    cells.set(attributes, cell)
    return cell
  }
  const { infer, forward, backward } = rulesOf(cellOf)
  return make<A>({
    ...op,
    infer: (types, attributes, fail) => {
      check?.(types, attributes, fail)
      return infer(types, attributes, fail)
    },
    forward,
    backward,
  })
}
