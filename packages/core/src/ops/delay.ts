/**
 * Edges with a lag: a value as it was some time steps ago. Before there were so many steps it is 0.
 *
 * Nothing runs: the value is stored for as many steps as its longest lag, and read where it was. Backward, the gradient that arrives at
 * step t leaves for the value at step t − lag, where the policy does not cut the edge.
 */

import { Schema } from "effect"
import { aFunction, argument } from "../arguments.ts"
import { GraphError } from "../errors.ts"
import { elementwise } from "../expressions/layer.ts"
import { apply, join, type LaggedAttributes, type Layer, lagged, lead, leaf, type Tensor } from "../graph/builder.ts"
import { inputName, Name } from "../graph/graph.ts"
import { make } from "../op.ts"
import { whole } from "../options.ts"

/** The longest lag, in time steps. */
export const longestLag = 4095

const Steps = whole(1, longestLag)
const Extents = Schema.Array(whole(1))

export const delayOp = make<LaggedAttributes>({
  name: "delay",
  attributes: Schema.Struct({
    steps: Steps,
    edge: Name,
    shape: Extents,
    elements: Schema.Literals(["float32", "spikes"]),
  }),
  // Its one input may stand behind it: graph/check.ts holds that against the attributes.
  inputs: [],
  infer: (_, { shape, elements }) => ({ shape, elements, batched: true }),
  lag: ({ steps, edge }) => ({ steps, edge }),
  forward: () => {},
  backward: () => {},
})

export interface DelayOptions {
  /** Time steps, 1 to 4095; or a whole number from 0 for each channel. */
  readonly steps: number | ReadonlyArray<number>
  /** The name by which policies cut the edge. Default "delay". */
  readonly edge?: string
}

export const DelaySchema: Schema.Codec<DelayOptions> = Schema.Struct({
  steps: Schema.Union([Steps, Schema.Array(whole(0, longestLag))]).annotate({
    expected: `a whole number from 1 to ${longestLag}, or a list of one for each channel from 0 on`,
  }),
  edge: Schema.optionalKey(Name),
})

/** A value of `steps` time steps ago. */
const delayed = (x: Tensor, name: string, steps: number, edge: string): Tensor => {
  const { shape, elements } = x.type
  const made = lagged(x, name, delayOp, { steps, edge, shape, elements: elements === "spikes" ? elements : "float32" })
  lead(x, made)
  return made
}

/**
 * Delays: y[t] = x[t − steps], 0 at first; with an array of steps, each channel by its own.
 *
 * @example
 * const net = Graph.sequential(linear({ features: 3 }), lif(), delay({ steps: [0, 1, 4] }), linear({ features: 2 }))
 */
export const delay = (options: DelayOptions): Layer =>
  leaf("delay", DelaySchema, options, (x, name, { steps, edge = "delay" }) => {
    const source = x.name === inputName ? elementwise("identity", (value) => value.plus(0))(x, `${name}.input`) : x
    if (typeof steps === "number") return delayed(source, name, steps, edge)
    const channels = x.shape.at(-1)
    if (steps.length !== channels)
      throw new GraphError({
        node: name,
        reason: `delay: steps has ${steps.length} numbers; there are ${channels} channels`,
      })
    return perChannel(source, name, steps, edge)
  })

/** Each channel as it was its own number of steps ago: one delay for each number, of which its channels are taken. */
const perChannel = (source: Tensor, name: string, steps: ReadonlyArray<number>, edge: string): Tensor => {
  const lags = [...new Set(steps)].sort((a, b) => a - b)
  const [only] = lags
  if (lags.length === 1) return only === 0 ? source : delayed(source, name, only as number, edge)
  return lags.reduce<Tensor | undefined>((rest, lag) => {
    const value = lag === 0 ? source : delayed(source, `${name}.by${lag}`, lag, edge)
    const chosen = { chosen: steps.map((own) => (own === lag ? 1 : 0)) }
    const label = lag === lags.at(-1) ? name : `${name}.of${lag}`
    return rest === undefined
      ? elementwise("channels", (x, { chosen }) => x.times(chosen), { parameters: chosen })(value, label)
      : elementwise("channels", (x, { chosen }, before) => x.times(chosen).plus(before), {
          parameters: chosen,
          inputs: [rest],
        })(value, label)
  }, undefined) as Tensor
}

export interface RecurrentOptions {
  /** The name by which policies cut the edge. Default "recurrent". */
  readonly edge?: string
  /** How many time steps ago what is fed back was. Default 1. */
  readonly steps?: number
}

export const RecurrentSchema: Schema.Codec<RecurrentOptions> = Schema.Struct({
  edge: Schema.optionalKey(Name),
  steps: Schema.optionalKey(Steps),
})

/**
 * A recurrent block: `build` is given its input and its own output of the step before, and gives its output.
 *
 * @example
 * const block = recurrent((x, fedBack) =>
 *   add(linear({ features: 64 })(x, "input"), linear({ features: 64, bias: false })(fedBack, "recurrent")).pipe(lif()),
 * )
 */
export const recurrent =
  (build: (x: Tensor, fedBack: Tensor) => Tensor, options: RecurrentOptions = {}): Layer =>
  (x, name) => {
    argument(build, aFunction, "recurrent")
    const at = name === undefined ? x : x.at(join(x.path, name))
    return leaf("fedBack", RecurrentSchema, options, (_, node, { edge = "recurrent", steps = 1 }) => {
      let type: Pick<LaggedAttributes, "shape" | "elements"> = { shape: x.shape, elements: "spikes" }
      // What is fed back is of the type of what comes out, which is tried until it is.
      for (let tries = 0; tries < 4; tries++) {
        const copy = at.copied()
        const made = loop(copy, node, build, { steps, edge, ...type })
        if (made.shape.join() === type.shape.join() && made.type.elements === type.elements)
          return loop(at, node, build, { steps, edge, ...type })
        type = { shape: made.shape, elements: made.type.elements as LaggedAttributes["elements"] }
      }
      throw new GraphError({
        node,
        reason: "recurrent: the shape of the output depends on the shape of what is fed back",
      })
    })(at, name === undefined ? undefined : "fedBack").at(x.path)
  }

/** Builds what is inside, and leads its output back. */
const loop = (
  at: Tensor,
  node: string,
  build: (x: Tensor, fedBack: Tensor) => Tensor,
  attributes: LaggedAttributes,
): Tensor => {
  const { value, lead } = feedback(at, node, attributes)
  const made = apply((x) => build(x, value), at)
  lead(made)
  return made
}

/**
 * A value of an earlier time step that nothing gives yet, for networks whose loops do not nest as those of {@link recurrent} do: `lead`
 * says, once, which value it is.
 *
 * @throws GraphError where options are out of range; later, where nothing was led to it or what was is of another shape
 */
export const feedback = (
  x: Tensor,
  name: string,
  attributes: LaggedAttributes,
): { readonly value: Tensor; readonly lead: (source: Tensor) => void } => {
  const value = lagged(x, name, delayOp, attributes)
  return { value, lead: (source) => lead(source, value) }
}
