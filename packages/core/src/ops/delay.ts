/**
 * Edges with a lag: the value of an earlier time step; 0 before the first step.
 *
 * No instruction runs: the value is stored for as many steps as its longest lag, and read in place. In the backward direction, the
 * gradient that arrives at step t is passed to the value at step t − lag, unless the policy cuts the edge.
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
const longestLag = 4095

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
  // The input may be computed later in the graph; graph/check.ts checks it against the attributes.
  inputs: [],
  infer: (_, { shape, elements }) => ({ shape, elements, batched: true }),
  lag: ({ steps, edge }) => ({ steps, edge }),
  forward: () => {},
  backward: () => {},
})

/** Options of {@link delay}. */
export interface DelayOptions {
  /** Number of time steps, 1 to 4095; or one number per channel, 0 to 4095. */
  readonly steps: number | ReadonlyArray<number>
  /** Name of the edge, by which policies cut it. Default "delay". */
  readonly edge?: string
}

/** The Schema of {@link DelayOptions}. */
export const DelaySchema: Schema.Codec<DelayOptions> = Schema.Struct({
  steps: Schema.Union([Steps, Schema.Array(whole(0, longestLag))]).annotate({
    expected: `a whole number from 1 to ${longestLag}, or a list with one from 0 on for each channel`,
  }),
  edge: Schema.optionalKey(Name),
})

/** The value of `steps` time steps ago. */
const delayed = (x: Tensor, name: string, steps: number, edge: string): Tensor => {
  const { shape, elements } = x.type
  const made = lagged(x, name, delayOp, { steps, edge, shape, elements: elements === "spikes" ? elements : "float32" })
  lead(x, made)
  return made
}

/**
 * Delays a value: y[t] = x[t − steps], 0 before the first step. With an array of steps, every channel has its own delay.
 *
 * @throws GraphError while the graph is built, if an array of steps does not have one number per channel
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

/** Per-channel delays: one delay per distinct number of steps, masked to its channels, and their sum. */
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

/** Options of {@link recurrent}. */
export interface RecurrentOptions {
  /** Name of the edge, by which policies cut it. Default "recurrent". */
  readonly edge?: string
  /** Number of time steps after which the output is fed back. Default 1. */
  readonly steps?: number
}

/** The Schema of {@link RecurrentOptions}. */
export const RecurrentSchema: Schema.Codec<RecurrentOptions> = Schema.Struct({
  edge: Schema.optionalKey(Name),
  steps: Schema.optionalKey(Steps),
})

/**
 * A recurrent block. `build` receives the block's input and its own output of the previous step, and returns its output.
 *
 * @throws GraphError while the graph is built, if the shape of the output depends on the shape of the value fed back
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
      // The value fed back has the type of the output, which is found by trial builds.
      for (let tries = 0; tries < 4; tries++) {
        const copy = at.copied()
        const made = loop(copy, node, build, { steps, edge, ...type })
        if (made.shape.join() === type.shape.join() && made.type.elements === type.elements)
          return loop(at, node, build, { steps, edge, ...type })
        type = { shape: made.shape, elements: made.type.elements as LaggedAttributes["elements"] }
      }
      throw new GraphError({
        node,
        reason: "recurrent: the shape of the output depends on the shape of the value fed back",
      })
    })(at, name === undefined ? undefined : "fedBack").at(x.path)
  }

/** Builds the inside of the block and feeds its output back. */
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
 * A value of an earlier time step whose source is not built yet, for networks with loops that do not nest as those of {@link
 * recurrent} do. Call `lead` once with the source.
 *
 * @throws GraphError for options out of range; when the graph is complete, if there is no source or its type differs
 */
export const feedback = (
  x: Tensor,
  name: string,
  attributes: LaggedAttributes,
): { readonly value: Tensor; readonly lead: (source: Tensor) => void } => {
  const value = lagged(x, name, delayOp, attributes)
  return { value, lead: (source) => lead(source, value) }
}
