/**
 * Rate-based backpropagation (Yu et al., "Advancing training efficiency of deep spiking neural networks through rate-based
 * backpropagation", NeurIPS 2024; code: Tab-ct/rate-based-backpropagation): the T steps run forward and accumulate sums; then one
 * forward and backward pass runs through the means over time. Memory and backward cost do not depend on T.
 *
 * Neurons s[t] with state h[t] = f(h[t−1], x[t]) track how their output changes with an input that changes equally at every step:
 *
 *     ḣ[t] = ∂f/∂h·ḣ[t−1] + ∂f/∂x,    s̄ = (1/T)·Σₜ s[t],    ē = (1/T)·Σₜ ds[t]/dx = (1/T)·Σₜ (∂s/∂h·ḣ[t−1] + ∂s/∂x)
 *
 * For u[t] = λ·(u[t−1] − ϑ·s[t−1]) + x[t] that is the paper's eligibility: with φ[t] = 1 + φ[t−1]·(λ − λ·ϑ·g(u[t−1])), where λ·ϑ·g is the
 * route through the reset, ē = (1/T)·Σₜ g(u[t])·φ[t]. In the pass over means, the neurons' output is s̄, and ∂x̄ = ē·∂s̄. A trained
 * parameter of neurons is another such direction. All other ops are applied to means: y = W·s̄ + b is exact; a maximum or a product of two means is not.
 *
 * Batch norm normalises each step with that step's statistics, and rates with the means over steps of the mean and of 1/(variance + ε):
 *
 *     r̄ = x̄ − m̄,  y = r̄·w/σ̄ + b,    m̄ = (1/T)·Σₜ m[t],    1/σ̄² = (1/T)·Σₜ 1/(σ²[t] + ε)
 *
 * The loss is a function of the mean of the steps' read-outs. With T = 1, all of this equals BPTT.
 */
import { zero } from "../../bookkeeping.ts"
import type { Cell } from "../../expressions/cell.ts"
import { unfold } from "../../expressions/cell.ts"
import { encode } from "../../expressions/code.ts"
import { elementwiseForward, storing } from "../../expressions/elementwise.ts"
import { type Expression, leaf, unary } from "../../expressions/expression.ts"
import { type Graph, inputName, type Node } from "../../graph/graph.ts"
import { lagOf, opOf, stateOf } from "../../graph/nodes.ts"
import { type Loss, lossForward } from "../../loss.ts"
import type { LossTerm } from "../../losses/index.ts"
import { kindOf } from "../../losses/term.ts"
import type { AnyOp, Backward, Context, Forward, Ref } from "../../op.ts"
import type { Analysis } from "./analysis.ts"
import { backward } from "./backward.ts"
import { emitter, type Lowering, type Terms, termsOf } from "./emit.ts"
import { forwardStep } from "./forward.ts"
import { begin } from "./index.ts"
import type { Request } from "./request.ts"
import { addThrough, cellOf, trackedNeurons, trackedState } from "./tracked.ts"

/** The rules of a node in the steps, and in the pass over means. */
interface Tracked {
  readonly step: AnyOp
  readonly atRates: AnyOp
}

/** Emits the computation of one value per element. */
const compute = (
  emit: Forward<unknown>["emit"],
  value: Expression,
  operands: Readonly<Record<string, Ref | undefined>>,
): void => emit(elementwiseForward, operands, storing(value))

/** Neurons: the additional planes are the sums of the output and of its tangents. */
const neurons = (op: AnyOp, cell: Cell, { isCut, timeSteps }: Request, directions: ReadonlyArray<number>): Tracked => {
  const { output } = unfold(cell)
  const { op: step, first } = trackedNeurons(op, cell, isCut, directions, (outputs, first) =>
    [output, ...outputs].map((value, i) => leaf(`before.${first + i}`).plus(value)),
  )
  const atRates: AnyOp = {
    ...step,
    forward: ({ emit, output: y, state }: Forward<unknown>) =>
      compute(emit, leaf(`before.${first}`).times(1 / timeSteps), { before: state().before, y }),
    backward: ({ emit, outputGradient: dy, gradient, state }: Backward<unknown>) => {
      if (dy === undefined) return
      // One instruction per direction, because several may share a target.
      for (const [d, i] of directions.entries()) {
        const target = gradient(i)
        const slope = leaf(`state.${first + 1 + d}`).times(1 / timeSteps)
        if (target) addThrough(emit, { state: state().now, dy, slope }, { [i < cell.inputs ? "dx0" : "dp0"]: target })
      }
    },
  }
  return { step, atRates }
}

/** Batch norm: the sums over steps of the mean and of the squared inverse deviation, per channel. */
const normalization = (
  op: AnyOp,
  timeSteps: number,
  [, weight]: ReadonlyArray<string>,
  analysis: Analysis,
): Tracked => {
  const { shape } = analysis.typeOf(weight as string)
  const statistics = ({ residual }: Pick<Forward<unknown>, "residual">) => ({
    mean: residual("mean", shape),
    inverseDeviation: residual("inverseDeviation", shape),
  })
  const [mean, inverse] = [leaf("x0"), leaf("x1")]
  const { code, places } = encode([leaf("before.0").plus(mean), leaf("before.1").plus(inverse.times(inverse))])
  const step: AnyOp = {
    ...op,
    state: trackedState([0, 0], shape),
    forward: (context: Forward<unknown>) => {
      op.forward(context)
      const { now, before } = context.state()
      const { mean: x0, inverseDeviation: x1 } = statistics(context)
      context.emit(elementwiseForward, { x0, x1, before, state: now }, { code, state: places, y: -1 })
    },
  }
  /** The statistics for rates. */
  const means = (context: Context<unknown>) => {
    const { mean, inverseDeviation } = statistics(context)
    const { emit, state } = context
    const { before } = state()
    compute(emit, leaf("before.0").times(1 / timeSteps), { before, y: mean })
    compute(emit, unary("sqrt", leaf("before.1").times(1 / timeSteps)), { before, y: inverseDeviation })
    return { mean, inverseDeviation }
  }
  const atRates: AnyOp = {
    ...step,
    forward: (context: Forward<unknown>) => {
      const { emit, input, output: y } = context
      const { mean: p0, inverseDeviation: p1 } = means(context)
      const normalized = leaf("x0").minus(leaf("p0")).times(leaf("p1")).times(leaf("p2")).plus(leaf("p3"))
      compute(emit, normalized, { x0: input(0), p0, p1, p2: input(1), p3: input(2), y })
    },
    backward: (context: Backward<unknown>) => {
      if (context.outputGradient === undefined) return
      means(context)
      op.backward(context)
    },
  }
  return { step, atRates }
}

const track = (node: Node, analysis: Analysis, request: Request): Tracked | undefined => {
  const op = opOf(node)
  if (op.mixesSamples) return normalization(op, request.timeSteps, node.inputs, analysis)
  const cell = cellOf(node)
  const fires = cell !== undefined && unfold(cell).spikes
  if (cell === undefined || (stateOf(node) === undefined && !fires)) return undefined
  const isWanted = (i: number) => analysis.isWanted(analysis.base(node.inputs[i] as string))
  return neurons(op, cell, request, [...node.inputs.keys()].filter(isWanted))
}

/** With frames, the input of the pass over means is the mean frame. */
const trackInput = (lowering: Lowering): void => {
  const { request, memory } = lowering
  if (request.encoding !== "frames") return
  const mean = memory.value(inputName, "rates")
  emitter(lowering, "begin", inputName, "forward")(zero, { target: mean })
  const sum = leaf("x0").plus(leaf("x1").times(1 / request.timeSteps))
  compute(emitter(lowering, "forward", inputName, "forward"), sum, { x0: mean, x1: memory.input, y: mean })
}

/** The reason why a graph or its loss terms are not supported, if any. */
const unfit = ({ nodes }: Graph, terms: ReadonlyArray<LossTerm>): string | undefined => {
  for (const node of nodes) {
    const edge = lagOf(node)?.edge
    if (edge !== undefined)
      return `${node.name} returns values of earlier steps (${edge}), which firing rates do not describe`
    if (stateOf(node) && !cellOf(node))
      return `${node.name} (${node.op}) has a state but no expression to differentiate`
  }
  const each = terms.find((term) => kindOf(term).over(term) !== "mean")
  return each && `its loss is a function of the mean read-out: the term ${each.term} must be over: "mean"`
}

/** Lowers the steps and the pass over means. */
const lower = (analysis: Analysis, request: Request, terms: Terms | undefined): Lowering => {
  const tracked = new Map(analysis.repeated.map((node) => [node.name, track(node, analysis, request)]))
  const nodes = (which: keyof Tracked): ReadonlyArray<Node> =>
    analysis.repeated.map((node) => ({ ...node, rule: tracked.get(node.name)?.[which] ?? opOf(node) }))
  const repeated = nodes("step")
  const stateful = repeated.filter((node) => stateOf(node) !== undefined)
  const lowering = begin({ ...analysis, repeated, stateful }, request, terms)
  const { memory } = lowering
  terms?.begin(lowering)
  trackInput(lowering)
  // Steps have no loss of their own.
  forwardStep({ ...lowering, memory: { ...memory, labels: undefined } }, "forward", "forward")
  terms?.measure(lowering)

  // The pass replaces all steps, so it is lowered as a single step. It computes only the values that it uses.
  const byName = new Map(nodes("atRates").map((node) => [node.name, node]))
  const nodeOf = (value: string) => byName.get(value) ?? analysis.nodeOf(value)
  const atRates = { ...lowering, analysis: { ...analysis, nodeOf }, request: { ...request, timeSteps: 1 } }
  const { output } = analysis.graph
  const logits = memory.value(output, "rates")
  if (terms === undefined) {
    const emit = emitter(lowering, "rates", output, "forward")
    compute(emit, leaf("x0").times(1 / request.timeSteps), { x0: memory.outputs[0]?.ref, y: logits })
    const operands = { logits, labels: memory.labels, metrics: memory.metrics }
    emit(lossForward, operands, { ...(request.loss as Loss), terms: termsOf(atRates.request) })
  }
  const recomputed = new Set(byName.keys())
  backward(atRates, [...byName.values()], "rates", "rates", { withLoss: true, recomputed, logits })
  return lowering
}

/** Part of the policy, so that bundles without rate-based backpropagation do not contain it. */
export interface Rates {
  readonly unfit: typeof unfit
  readonly lower: typeof lower
}

export const rates: Rates = { unfit, lower }
