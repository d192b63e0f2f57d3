/** Layers defined by expressions: their parameters, and their nodes in a graph. */

import { Schema } from "effect"
import { aFunction, argument, aString } from "../arguments.ts"
import { GraphError } from "../errors.ts"
import { type Layer, leaf, node, parameter, type Tensor } from "../graph/builder.ts"
import { type Initializer, InitializerSchema } from "../graph/graph.ts"
import { elementwiseOp } from "../ops/elementwise.ts"
import { assert, expectedOf, Float32, must } from "../options.ts"
import { size } from "../shape.ts"
import { below } from "./cell.ts"
import { encode, shared } from "./code.ts"
import { mostParameters } from "./elementwise.ts"
import { constant, type Expression, leaf as named, of, operandsOf, rewrite } from "./expression.ts"

/**
 * What shares one number of a parameter: all neurons of a layer, the neurons of a channel, or nothing (one number per
 * element).
 */
export type Per = "layer" | "channel" | "element"

/** A trained parameter: its initial values, and how they are shared. */
export interface Learnt {
  readonly learn: Initializer
  readonly per: Per
}

/** A parameter: one number, an array with one number per channel or per element, or trained. */
export type Setting = number | ReadonlyArray<number> | Learnt

/**
 * Makes a parameter trainable.
 *
 * @param start the initial value, or an initializer
 * @param per what shares one number (default: the whole layer)
 * @example
 * const perChannel = currentBasedLif({ decay: Neuron.learn(0.9, "channel") })
 */
export const learn = (start: number | Initializer, per: Per = "layer"): Learnt => ({
  learn: typeof start === "number" ? { kind: "constant", value: start } : start,
  per,
})

const LearntSchema = Schema.Struct({ learn: InitializerSchema, per: Schema.Literals(["layer", "channel", "element"]) })

const startsIn =
  (value: Schema.Codec<number>) =>
  ({ learn }: Learnt): boolean =>
    learn.kind !== "constant" || Schema.is(value)(learn.value)

/** The Schema of a setting whose numbers satisfy `value`. */
export const settingSchema = (value: Schema.Codec<number> = Float32): Schema.Codec<Setting> =>
  Schema.Union([
    value,
    Schema.Array(value),
    LearntSchema.check(must("a start in the range", startsIn(value))),
  ]).annotate({
    expected: `${expectedOf(value)}, an array of those, or Neuron.learn(…)`,
  })

/**
 * Settings as expressions: single numbers become constants, the others become leaves. Returns the graph parameters of
 * those leaves in order.
 */
export const parametersOf = <P extends string>(
  x: Tensor,
  name: string,
  settings: Readonly<Record<P, Setting>>,
): { readonly p: Readonly<Record<P, Expression>>; readonly tensors: ReadonlyArray<Tensor> } => {
  const tensors: Array<Tensor> = []
  const p = Object.fromEntries(
    Object.entries<Setting>(settings).map(([each, setting]) => {
      if (typeof setting === "number") return [each, constant(setting)]
      tensors.push(stored(x, `${name}.${each}`, setting))
      return [each, named(`p${tensors.length - 1}`)]
    }),
  ) as Record<P, Expression>
  return { p, tensors }
}

/** The graph parameter of a setting that is not a single number. */
const stored = (x: Tensor, name: string, setting: Exclude<Setting, number>): Tensor => {
  const extents: Readonly<Record<Per, ReadonlyArray<number>>> = {
    layer: [],
    channel: [x.shape.at(-1) ?? 1],
    element: x.shape,
  }
  if ("learn" in setting) return parameter(x, name, extents[setting.per], setting.learn)
  const shape = Object.values(extents).find((each) => size(each) === setting.length)
  if (shape === undefined)
    throw new GraphError({
      node: name,
      reason: `${setting.length} values were given; give one, one per channel (${x.shape.at(-1)}) or one per element (${size(x.shape)})`,
    })
  return parameter(x, name, shape, { kind: "values", values: [...setting] }, "constant")
}

/**
 * Adds a cell to the graph: the last root is its output, the others are its new states. Subexpressions of parameters
 * alone become nodes of their own, which run once per batch.
 *
 * @throws GraphError if more than {@link mostParameters} parameters are arrays or trained
 */
export const place = (
  x: Tensor,
  name: string,
  kind: string,
  roots: ReadonlyArray<Expression>,
  parameters: ReadonlyArray<Tensor>,
  {
    states,
    initial,
    smooth,
    inputs = [],
  }: {
    readonly states: ReadonlyArray<string>
    readonly initial: ReadonlyArray<number>
    readonly smooth: boolean
    /** Inputs other than x. */
    readonly inputs?: ReadonlyArray<Tensor>
  },
): Tensor => {
  const without = (parts: ReadonlyArray<Expression>) => {
    const replaced = new Map(parts.map((part, i) => [part, named(`p${parameters.length + i}`)]))
    const moved = rewrite(roots, (original) => replaced.get(original))
    // Parameters used only by these nodes are not operands here.
    const all = Array.from({ length: parameters.length + parts.length }, (_, j) => j)
    return { parts, moved, operands: all.filter((j) => uses(moved, `p${j}`)) }
  }
  const apart = without(fixedParts(roots))
  // Each such node is an operand. If that exceeds the limit, every step computes the subexpressions instead.
  const { parts, moved, operands } = apart.operands.length <= mostParameters ? apart : without([])
  const tensors = [...parameters, ...parts.map((part, i) => fixedNode(x, `${name}.fixed${i}`, part, parameters))]
  const used = operands.map((j) => ({ tensor: tensors[j] as Tensor, from: `p${j}` }))
  if (used.length > mostParameters)
    throw new GraphError({
      node: name,
      reason: `${kind}: ${used.length} of its parameters are arrays or learnt; at most ${mostParameters} may be`,
    })
  const number = new Map(used.map(({ from }, j) => [from, named(`p${j}`)]))
  const numbered = rewrite(moved, ({ form }) => (form.kind === "leaf" ? number.get(form.name) : undefined))
  const { code, places } = encode(numbered)
  const attributes = {
    kind,
    inputs: 1 + inputs.length,
    parameters: used.length,
    states,
    initial,
    code,
    next: places.slice(0, -1),
    output: places.at(-1) as number,
    ...(smooth ? ({ smooth: true } as const) : {}),
  }
  return node(x, name, elementwiseOp, attributes, [x, ...inputs, ...used.map(({ tensor }) => tensor)])
}

const uses = (roots: ReadonlyArray<Expression>, name: string): boolean =>
  [...below(roots)].some(({ form }) => form.kind === "leaf" && form.name === name)

/** The largest subexpressions that depend on parameters and nothing else. */
const fixedParts = (roots: ReadonlyArray<Expression>): ReadonlyArray<Expression> => {
  const isFixed = (expression: Expression): boolean => {
    const leaves = [...below([expression])].flatMap(({ form }) => (form.kind === "leaf" ? [form.name] : []))
    return leaves.length > 0 && leaves.every((leaf) => leaf.startsWith("p"))
  }
  const isPart = (expression: Expression) => expression.form.kind !== "leaf" && isFixed(expression)
  const users = [...below(roots)].filter((each) => !isFixed(each))
  return [...new Set([...roots, ...users.flatMap(operandsOf)].filter(isPart))]
}

/** A node for a subexpression of parameters alone. Its input is the largest of them. */
const fixedNode = (x: Tensor, name: string, part: Expression, parameters: ReadonlyArray<Tensor>): Tensor => {
  const used = parameters
    .map((tensor, j) => ({ tensor, from: `p${j}` }))
    .filter(({ from }) => uses([part], from))
    .sort((a, b) => size(b.tensor.shape) - size(a.tensor.shape))
  const number = new Map(used.map(({ from }, j) => [from, named(j === 0 ? "x0" : `p${j - 1}`)]))
  const [root] = rewrite([part], ({ form }) => (form.kind === "leaf" ? number.get(form.name) : undefined))
  const { code, places } = encode([root as Expression])
  const attributes = {
    kind: "fixed",
    inputs: 1,
    parameters: used.length - 1,
    states: [],
    initial: [],
    code,
    next: [],
    output: places[0] as number,
  }
  return node(
    x,
    name,
    elementwiseOp,
    attributes,
    used.map(({ tensor }) => tensor),
  )
}

/** Options of {@link elementwise}. */
export interface ElementwiseOptions<P extends string> {
  /** Parameters by name; the layer's function receives them as expressions. */
  readonly parameters?: Readonly<Record<P, Setting>>
  /** Up to two further inputs, of the shape of the first. */
  readonly inputs?: ReadonlyArray<Tensor>
}

const ElementwiseSchema = /* @__PURE__ */ Schema.Struct({
  parameters: /* @__PURE__ */ Schema.optionalKey(/* @__PURE__ */ Schema.Record(Schema.String, Schema.Unknown)),
  inputs: /* @__PURE__ */ Schema.optionalKey(/* @__PURE__ */ Schema.Array(Schema.Unknown)),
}) as Schema.Codec<unknown>

/**
 * A stateless layer that applies one function to every element. Its output has the input's shape.
 *
 * @param kind the layer's kind, from which unnamed layers are numbered
 * @param body the function: the input, the parameters by name, the further inputs
 * @throws OptionError for arguments of another type, and GraphError while the graph is built for settings that do not
 * fit
 * @example
 * const relu = elementwise("relu", (x) => Neuron.maximum(x, 0))
 * const scaled = elementwise("scaled", (x, p) => x.times(p.factor), { parameters: { factor: Neuron.learn(1, "channel") } })
 */
export const elementwise = <P extends string = never>(
  kind: string,
  body: (x: Expression, p: Readonly<Record<P, Expression>>, ...others: ReadonlyArray<Expression>) => Expression,
  options: ElementwiseOptions<P> = {},
): Layer => {
  argument(kind, aString, "elementwise", "kind")
  argument(body, aFunction, "elementwise", "body")
  assert("elementwise", ElementwiseSchema, options)
  const { parameters, inputs = [] } = options
  return leaf(kind, Schema.Record(Schema.String, settingSchema()), parameters ?? {}, (x, name, settings) => {
    const { p, tensors } = parametersOf(x, name, settings as Readonly<Record<P, Setting>>)
    const others = inputs.map((_, i) => named(`x${i + 1}`))
    const root = body(named("x0"), p, ...(others as unknown as [Expression, ...ReadonlyArray<Expression>]))
    return place(x, name, kind, shared([of(root)]), tensors, { states: [], initial: [], smooth: false, inputs })
  })
}
