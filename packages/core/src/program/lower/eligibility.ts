/**
 * e-prop (Bellec et al., "A solution to the learning dilemma for recurrent networks of spiking neurons", Nature Communications
 * 2020): the gradient of weights is the learning signal of a step times an eligibility trace of earlier steps. With W the weights
 * of a layer y = W·a before neurons h[t] = f(h[t−1], y[t]), z[t] = g(h[t−1], y[t]):
 *
 *     ε[t] = ∂h[t]/∂W = A[t]·ε[t−1] + c[t]·a[t],    ∂W = Σₜ ∂z[t]·(o[t]·ε[t−1] + d[t]·a[t]),    A, c, o, d = ∂f/∂h, ∂f/∂y, ∂g/∂h, ∂g/∂y
 *
 * ∂z[t] is the gradient that arrives within the step. So this is BPTT without the gradient that leaves a layer and returns later:
 * exact for a layer of neurons (recurrent or not) that is followed by no other state, if its recurrent edges are cut. The states of
 * a leaky read-out count for its own weights, but not for the layers before it.
 *
 * If A and c are the same for all neurons and z depends on one state, as for LIF and current-based LIF neurons without gradient
 * through the reset, ε factorises into a trace of a per presynaptic element and state (`x` below). Otherwise, ε is one number per
 * synapse, sample and state: see `ops/eligibility.ts`. Time-invariant inputs, such as a bias or a static image, need the ε of an
 * input of 1, which is one number per neuron.
 */

import { PolicyError } from "../../errors.ts"
import { below, type Cell, unfold } from "../../expressions/cell.ts"
import { type Code, encode } from "../../expressions/code.ts"
import { differentiate } from "../../expressions/differentiate.ts"
import { elementwiseForward } from "../../expressions/elementwise.ts"
import { type Expression, leaf, of, rewrite } from "../../expressions/expression.ts"
import { type Linearized, linearize } from "../../expressions/tangents.ts"
import { inputName, type Node } from "../../graph/graph.ts"
import { lagOf, opOf, stateOf } from "../../graph/nodes.ts"
import type { AnyOp, Backward, Forward } from "../../op.ts"
import { eligibility } from "../../ops/eligibility.ts"
import { size } from "../../shape.ts"
import { microBatchSize } from "../program.ts"
import type { Analysis } from "./analysis.ts"
import type { Request } from "./request.ts"
import { addThrough, cellOf, type TrackedNeurons, trackedNeurons, trackedState } from "./tracked.ts"

/** Neurons with the weight layers before them, and time-invariant inputs. */
interface Layer {
  readonly node: Node
  readonly cell: Cell
  readonly maps: ReadonlyArray<Node>
  /** Sums between weight layers and neurons. */
  readonly sums: ReadonlyArray<Node>
  readonly constants: ReadonlySet<string>
}

/**
 * A trace of a weight layer's input: its new values, in terms of `x0` and `before.0` …, and the combination of values that replaces
 * the input in the weight gradient.
 */
interface Factorized {
  readonly values: ReadonlyArray<Expression>
  readonly seen: Expression
}

/** Finds the layers, or fails with the node at which the search ends. */
const layersOf = (analysis: Analysis, fail: (reason: string) => never): ReadonlyArray<Layer> => {
  const { repeated, nodeOf, base, inputsOf, isInvariant, isWanted } = analysis
  const isNeuron = (node: Node) => stateOf(node) !== undefined
  const carries = (value: string): boolean => {
    const node = nodeOf(value)
    if (!isWanted(value) || value === inputName) return false
    return node === undefined || isInvariant(value) || (!isNeuron(node) && !lagOf(node) && inputsOf(node).some(carries))
  }
  const layers = repeated.filter(isNeuron).map((node): Layer => {
    const cell = cellOf(node)
    if (cell === undefined || cell.inputs !== 1)
      return fail(`${node.name} (${node.op}) is not a layer of neurons with one input`)
    const maps: Array<Node> = []
    const sums: Array<Node> = []
    const constants = new Set<string>()
    const visit = (value: string): void => {
      const before = nodeOf(value)
      if (!carries(value)) return
      if (isInvariant(value)) constants.add(value)
      else if (before && opOf(before).hasWeights) maps.push(before)
      else if (before?.op === "add") {
        sums.push(before)
        for (const input of inputsOf(before)) visit(input)
      } else fail(`${value} (${before?.op}) lies between weights and the neurons ${node.name}; only sums may do so`)
    }
    visit(base(node.inputs[0] as string))
    return { node, cell, maps, sums, constants }
  })
  const taken = layers.flatMap(({ maps, sums }) => [...maps, ...sums].map(({ name }) => name))
  const twice = taken.find((name, i) => taken.indexOf(name) !== i)
  return twice === undefined ? layers : fail(`${twice} leads to several layers of neurons`)
}

const leavesOf = (root: Expression): ReadonlyArray<string> =>
  [...below([root])].flatMap(({ form }) => (form.kind === "leaf" ? [form.name] : []))

/** Splits the factors that are the same for all neurons off a product. */
const split = (
  product: Expression,
  isFixed: (part: Expression) => boolean,
): { readonly factor: Expression; readonly rest: Expression } => {
  const { form } = product
  if (form.kind !== "binary" || form.op !== "multiply") return { factor: of(1), rest: product }
  const [fixed, other] = isFixed(form.a) ? [form.a, form.b] : [form.b, form.a]
  if (!isFixed(fixed)) return { factor: of(1), rest: product }
  const { factor, rest } = split(other, isFixed)
  return { factor: factor.times(fixed), rest }
}

/**
 * The trace of a factorised ε. Exists only if A and c are the same for all neurons, and so are the ratios in which the output
 * changes with the stored values.
 *
 * @param isShared whether a parameter of the cell is a single number
 */
const factorized = (
  cell: Cell,
  { stored: slopes }: Linearized,
  isShared: (leaf: string) => boolean,
): Factorized | undefined => {
  const { stored, output } = unfold(cell)
  const isFixed = (root: Expression) => leavesOf(root).every((name) => name.startsWith("p") && isShared(name))
  const [A, c] = [slopes.map(({ byStored }) => byStored), slopes.map(({ direct }) => direct)] as const
  const atPlanes = rewrite([output], (original) =>
    stored.includes(original) ? leaf(`state.${stored.indexOf(original)}`) : undefined,
  )[0] as Expression
  const isBehind = leavesOf(atPlanes).every((name) => name.startsWith("state.") || name.startsWith("p"))
  if (!isBehind || ![...A.flat(), ...c].every(isFixed)) return undefined
  const gradients = differentiate([[atPlanes, of(1)]], () => true)
  const shares = stored.map((_, k) => split(gradients.get(`state.${k}`) ?? of(0), isFixed))
  const used = shares.filter(({ rest }) => rest.constant !== 0)
  if (new Set(used.map(({ rest }) => JSON.stringify(encode([rest]).code))).size !== 1) return undefined
  const sumOf = (terms: ReadonlyArray<Expression>) => terms.reduce((sum, term) => sum.plus(term), of(0))
  const factors = shares.map(({ rest, factor }) => (rest.constant === 0 ? of(0) : factor))
  const weighed = (values: ReadonlyArray<Expression>) =>
    sumOf(values.map((value, k) => value.times(factors[k] as Expression)))
  const direct = weighed(c)
  if (direct.constant === 0) return undefined
  const carried = stored.map((_, l) => leaf(`before.${l}`))
  const values = A.map((row, k) =>
    sumOf([...row.map((slope, l) => slope.times(carried[l] as Expression)), leaf("x0").times(c[k] as Expression)]),
  )
  return { values, seen: weighed(carried).dividedBy(direct) }
}

/** The context of a layer's rules. */
interface Shared extends Layer {
  readonly policy: Request
  readonly analysis: Analysis
  readonly fail: (reason: string) => never
  readonly tracked: TrackedNeurons
  /** The neurons with their new rule. */
  readonly neurons: () => Node
  /** Indices of the neurons' inputs whose tangents are tracked. */
  readonly directions: ReadonlyArray<number>
}

/**
 * Adds the gradient that arrives at the neurons, times the derivative of their output with respect to an input that changes equally
 * at every step.
 */
const through = (
  { node, tracked, directions, neurons }: Shared,
  context: Backward<unknown>,
  direction: number,
  to: Parameters<typeof addThrough>[2],
): void => {
  const dy = context.gradientOf(node.name)
  const slope = leaf(`state.${tracked.first + directions.indexOf(direction)}`)
  if (dy) addThrough(context.emit, { state: context.stateOf(neurons()), dy, slope }, to)
}

/** The plane of the output's derivative with respect to the input of the current step. */
const directOf = ({ tracked, directions }: Shared): number => tracked.first + directions.length

/** The rule of a sum or of the neurons: time-invariant inputs receive the gradient of all steps. */
const withConstants = (shared: Shared, own: Node, backward: AnyOp["backward"]): AnyOp["backward"] => {
  const isConstant = (i: number) => shared.constants.has(shared.analysis.base(own.inputs[i] as string))
  return (context) => {
    backward({ ...context, gradient: (i) => (isConstant(i) ? undefined : context.gradient(i)) })
    for (const i of own.inputs.keys()) {
      const dx0 = isConstant(i) ? context.gradient(i) : undefined
      if (dx0) through(shared, context, 0, { dx0 })
    }
  }
}

const neuronRule = (shared: Shared): AnyOp => {
  const { node, directions, tracked } = shared
  return {
    ...tracked.op,
    backward: withConstants(shared, node, (context: Backward<unknown>) => {
      const { emit, outputGradient: dy, gradient, state } = context
      const dx0 = dy && gradient(0)
      if (dx0) addThrough(emit, { state: state().now, dy, slope: leaf(`state.${directOf(shared)}`) }, { dx0 })
      for (const i of directions) {
        const dp0 = i === 0 ? undefined : gradient(i)
        if (dp0) through(shared, context, i, { dp0 })
      }
    }),
  }
}

/** Adds the gradient of a weight layer's bias, which is a weight with an input of 1. */
const withBias = (shared: Shared, context: Backward<unknown>): void => {
  const dp0 = context.arity > 2 ? context.gradient(2) : undefined
  if (dp0) through(shared, context, 0, { dp0 })
}

const factorizedRule = (shared: Shared, map: Node, { values, seen: sum }: Factorized): AnyOp => {
  const { analysis, node, policy } = shared
  const op = opOf(map)
  const shape = [microBatchSize(policy), ...analysis.typeOf(map.inputs[0] as string).shape]
  const { code, places } = encode(values)
  const seen = encode([sum])
  const isSeen = sum.form.kind === "leaf" && values.length === 1
  const parameters = ({ valueAt }: Pick<Forward<unknown>, "valueAt">, read: Code) =>
    Object.fromEntries(
      read.flatMap((line) =>
        line[0] === "leaf" && line[1].startsWith("p")
          ? [[line[1], valueAt(node.inputs[1 + Number(line[1].slice(1))] as string)]]
          : [],
      ),
    )
  return {
    ...op,
    state: trackedState(
      values.map(() => 0),
      shape,
    ),
    forward: (context: Forward<unknown>) => {
      op.forward(context)
      const { now, before } = context.state()
      const operands = { x0: context.input(0), before, ...parameters(context, code), state: now }
      context.emit(elementwiseForward, operands, { code, state: places, y: -1 })
    },
    backward: (context: Backward<unknown>) => {
      const { now } = context.state()
      const presynaptic = () => {
        if (isSeen) return now
        const y = context.residual("trace", shape)
        const attributes = { code: seen.code, state: [], y: seen.places[0] as number }
        context.emit(elementwiseForward, { before: now, ...parameters(context, seen.code), y }, attributes)
        return y
      }
      op.backward({ ...context, presynaptic, gradient: (i) => (i < 2 ? context.gradient(i) : undefined) })
      withBias(shared, context)
    },
  }
}

const synapticRule = (shared: Shared, map: Node): AnyOp => {
  const { analysis, cell, node, policy, fail, neurons } = shared
  const op = opOf(map)
  if (op.name !== "linear")
    fail(
      `${map.name} (${op.name}) leads to ${node.name}, whose eligibility is a number a synapse: only linear maps may`,
    )
  if (policy.partial) fail(`${node.name} updates a trace per synapse at every step; train all steps`)
  const states = unfold(cell).stored.length
  const shape = [microBatchSize(policy), ...analysis.typeOf(map.inputs[1] as string).shape]
  return {
    ...op,
    state: trackedState(
      Array.from({ length: states }, () => 0),
      shape,
    ),
    backward: (context: Backward<unknown>) => {
      op.backward({ ...context, gradient: (i) => (i === 0 ? context.gradient(i) : undefined) })
      const outputGradient = context.gradientOf(node.name)
      const weightGradient = outputGradient && context.gradient(1)
      context.emit(
        eligibility,
        {
          x: context.input(0),
          factors: context.stateOf(neurons()),
          outputGradient,
          trace: context.state().now,
          weightGradient,
        },
        { states, first: directOf(shared) },
      )
      withBias(shared, context)
    },
  }
}

/** Replaces the rules of layers with rules that keep eligibility traces; gradient then flows within a step only. */
const lower = (analysis: Analysis, policy: Request, isCut: (edge: string) => boolean): Analysis => {
  const fail = (reason: string): never => {
    throw new PolicyError({ policy: policy.policy, reason })
  }
  const rules = new Map<string, AnyOp>()
  const withRule = (node: Node): Node => ({ ...node, rule: rules.get(node.name) ?? opOf(node) })
  for (const layer of layersOf(analysis, fail)) {
    const { node, cell, maps, sums, constants } = layer
    const slopes = linearize(cell, "x0", isCut)
    const isShared = (name: string) =>
      size(analysis.typeOf(node.inputs[1 + Number(name.slice(1))] as string).shape) === 1
    const form = factorized(cell, slopes, isShared)
    const learnt = [...node.inputs.keys()].filter((i) => i > 0 && analysis.isWanted(node.inputs[i] as string))
    const isBiased = maps.some(({ inputs }) => inputs.length > 2) || constants.size > 0
    const directions = isBiased ? [0, ...learnt] : learnt
    const { stored, output } = slopes
    const factors = [
      ...output.byStored,
      ...stored.flatMap(({ byStored }) => byStored),
      ...stored.map(({ direct }) => direct),
    ]
    const further = (outputs: ReadonlyArray<Expression>) => [
      ...outputs,
      output.direct,
      ...(form || maps.length === 0 ? [] : factors),
    ]
    const tracked = trackedNeurons(opOf(node), cell, isCut, directions, further)
    const neurons = () => withRule(node)
    const shared: Shared = { ...layer, policy, analysis, fail, tracked, neurons, directions }
    rules.set(node.name, neuronRule(shared))
    for (const sum of sums)
      rules.set(sum.name, { ...opOf(sum), backward: withConstants(shared, sum, opOf(sum).backward) })
    for (const map of maps) rules.set(map.name, form ? factorizedRule(shared, map, form) : synapticRule(shared, map))
  }
  const repeated = analysis.repeated.map(withRule)
  return { ...analysis, repeated, stateful: repeated.filter((node) => stateOf(node) !== undefined) }
}

/** Part of the policy, so that bundles without eligibility traces do not contain it. */
export type Eligibility = typeof lower

export const eligibilityTraces: Eligibility = lower
