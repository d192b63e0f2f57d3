/** The op of all that is elementwise: a cell of expressions over inputs of one shape, parameters and states. */
import { Schema } from "effect"
import { type Cell, edgesOf, unfold } from "../expressions/cell.ts"
import { isCode } from "../expressions/code.ts"
import { elementwiseBackward, elementwiseForward, mostInputs, mostParameters } from "../expressions/elementwise.ts"
import { make, type Ref } from "../op.ts"
import { must } from "../options.ts"
import { equals, format, type Shape, size } from "../shape.ts"

export interface ElementwiseAttributes extends Cell {
  /** What it is called, as `lif`. */
  readonly kind: string
}

const isCount = (value: unknown, least: number, most: number): boolean =>
  Number.isInteger(value) && (value as number) >= least && (value as number) <= most

/** A cell, checked by hand: of a code that is data, no option could be named. */
const isCell = (cell: unknown): boolean => {
  const { kind, inputs, parameters, states, initial, code, next, output, smooth, ...others } = (cell ?? {}) as Readonly<
    Record<keyof ElementwiseAttributes, unknown>
  >
  const lists = [states, initial, next]
  if (!lists.every(Array.isArray) || !isCount(inputs, 1, mostInputs) || !isCount(parameters, 0, mostParameters))
    return false
  // As JSON has them, without holes.
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
  must("a cell of expressions, as Neuron.make builds", isCell),
) as unknown as Schema.Codec<ElementwiseAttributes>

/** Whether a parameter's numbers can be dealt out over the elements of a value: one, one a channel, one an element. */
const fits = (parameter: Shape, value: Shape): boolean => [1, value.at(-1) ?? 1, size(value)].includes(size(parameter))

const numbered = (letter: string, refs: ReadonlyArray<Ref | undefined>): Readonly<Record<string, Ref | undefined>> =>
  Object.fromEntries(refs.map((ref, i) => [`${letter}${i}`, ref]))

/** Which gradients are wanted; where several go to one place, they are added up before. */
const wantedOf = (refs: ReadonlyArray<Ref | undefined>): ReadonlyArray<boolean | number> =>
  refs.map((ref, i) => {
    if (ref === undefined) return false
    const first = refs.findIndex((other) => other?.buffer === ref.buffer && other.lag === ref.lag)
    return first < i ? first : true
  })

export const elementwiseOp = make<ElementwiseAttributes>({
  name: "elementwise",
  attributes: CellSchema,
  inputs: ({ inputs, parameters }) => [
    ...Array.from({ length: inputs }, () => "value" as const),
    ...Array.from({ length: parameters }, () => "parameter" as const),
  ],
  infer: (types, attributes, fail) => {
    const { inputs } = attributes
    const [first, ...others] = types.slice(0, inputs)
    const shape = first!.shape
    for (const other of others)
      if (!equals(other.shape, shape) || other.batched !== first!.batched)
        fail(`its inputs are ${format(shape)} and ${format(other.shape)}; they must be of one shape`)
    for (const parameter of types.slice(inputs))
      if (!fits(parameter.shape, shape))
        fail(
          `a parameter of ${format(parameter.shape)} does not go with elements of ${format(shape)}; it must be one number, one a channel or one an element`,
        )
    return { shape, elements: unfold(attributes).spikes ? "spikes" : "float32", batched: first!.batched }
  },
  routes: (attributes) => [...edgesOf(attributes)],
  cell: (attributes) => attributes,
  state: (attributes) => {
    const { planes, needs, decay, rest, read } = unfold(attributes)
    if (planes === 0) return undefined
    const at = Math.max(0, attributes.states.indexOf("membrane"))
    const found = decay(at)
    return {
      planes,
      rest,
      kept: needs.state,
      keptBefore: needs.before,
      edges: attributes.states,
      decay: typeof found === "object" ? { input: attributes.inputs + found.parameter } : found,
      read: (edge) => ({ ...read(edge), firstParameter: attributes.inputs }),
    }
  },
  forward: ({ emit, input, output, state, attributes }) => {
    const { forward, planes } = unfold(attributes)
    const at = planes > 0 ? state() : undefined
    emit(
      elementwiseForward,
      {
        ...numbered(
          "x",
          Array.from({ length: attributes.inputs }, (_, i) => input(i)),
        ),
        before: at?.before,
        ...numbered(
          "p",
          Array.from({ length: attributes.parameters }, (_, j) => input(attributes.inputs + j)),
        ),
        state: at?.now,
        y: output,
      },
      { ...forward },
    )
  },
  backward: ({ emit, input, state, outputGradient, carry, gradient, isCut, attributes }) => {
    if (outputGradient === undefined && carry === undefined) return
    const { backward, planes } = unfold(attributes)
    const { inputs, parameters } = attributes
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
