/** The buffers of a program, made when something first refers to them. Their order is that of the first references. */
import { inputName, type Node, type Parameter } from "../../graph/graph.ts"
import { lagOf, outputsOf, stateOf } from "../../graph/nodes.ts"
import type { Ref, State, ValueType } from "../../op.ts"
import type { Shape } from "../../shape.ts"
import type { Elements } from "../../spikes.ts"
import type { DraftBuffer } from "../layout.ts"
import { type Holding, microBatchSize, nameOf, type SegmentName } from "../program.ts"
import type { Analysis } from "./analysis.ts"
import type { Request } from "./request.ts"

/** Where values live: once a micro-batch, or anew in each kind of step. */
export type Scope = "batch" | "forward" | "train" | "keep" | "rates"

export interface Memory {
  readonly buffers: ReadonlyArray<DraftBuffer>
  /** A buffer by what it holds; made when first asked for. */
  readonly buffer: (
    holding: Holding,
    kind: DraftBuffer["kind"],
    shape: Shape,
    options?: { readonly elements?: Elements; readonly slots?: number; readonly every?: number },
  ) => Ref
  /** The shape of a value, with the samples of a micro-batch. */
  readonly shapeOf: (value: string) => Shape
  /** What the whole program has once. */
  readonly input: Ref
  /** Of the loss of one class a sample. */
  readonly labels: Ref | undefined
  /** The read-outs, the first without a name, with the nodes that they accumulate. */
  readonly outputs: ReadonlyArray<{ readonly node: string; readonly ref: Ref }>
  readonly metrics: Ref
  readonly hyperparameters: () => Ref
  /** A parameter, its gradient and the optimiser's states of it, as planes. */
  readonly parameter: (parameter: Parameter) => Ref
  readonly parameterGradient: (parameter: Parameter) => Ref
  readonly optimizer: (parameter: Parameter) => Ref | undefined
  /** The scope in which a value of another scope lives: values that are hoisted or observed have one memory for all. */
  readonly scopeOf: (value: string, scope: Scope) => Scope
  /** A value, where the instructions of a scope find it. */
  readonly value: (value: string, scope: Scope) => Ref
  /** A value that a backward segment computes again for itself. */
  readonly recomputed: (value: string, segment: SegmentName) => Ref
  /** The gradient of a value within a segment. */
  readonly gradient: (value: string, segment: SegmentName) => Ref
  /** The sum of the gradients that the time steps send to a value. */
  readonly gradientSum: (value: string) => Ref
  /** What a node's forward direction leaves for its backward one, besides values. */
  readonly residual: (node: Node, scope: Scope, part: string, shape: Shape, elements?: Elements) => Ref
  readonly key: (node: Node) => Ref
  /** The state of a node at this step; what is saved of it; the gradients that travel back through it, where the policy leaves any. */
  readonly state: (node: Node) => Ref
  readonly checkpoint: (node: Node) => Ref
  readonly carry: (node: Node) => Ref | undefined
  /** The gradients of an edge with a lag on their way back: that which left step t + lag is at t. */
  readonly carriedBack: (node: Node) => Ref
  /** What is saved of a value of `lag` steps ago. */
  readonly savedValue: (value: string, lag: number) => Ref
  /** The presynaptic trace of a value. */
  readonly trace: (value: string) => Ref
}

/** The shape of several planes of a shape, where there is more than one. */
const stacked = (planes: number, shape: Shape): Shape => (planes === 1 ? shape : [planes, ...shape])

export const makeMemory = (analysis: Analysis, request: Request): Memory => {
  const { graph, typeOf, base, parameterOf, weights, spiking, isInvariant, isObserved, isWanted } = analysis
  const { timeSteps, window, checkpointInterval } = request
  const training = request.mode === "training"
  const samples = microBatchSize(request)

  const buffers: Array<DraftBuffer> = []
  const indices = new Map<string, number>()
  const buffer: Memory["buffer"] = (holding, kind, shape, { elements = "float32", slots = 1, every = 1 } = {}) => {
    const name = nameOf(holding)
    let index = indices.get(name)
    if (index === undefined) {
      index = buffers.length
      indices.set(name, index)
      buffers.push({ ...holding, name, kind, shape, elements, slots, ...(every > 1 ? { every } : {}) })
    }
    return { buffer: index }
  }
  const fullShape = ({ shape, batched }: ValueType): Shape => (batched ? [samples, ...shape] : shape)
  const shapeOf = (value: string): Shape => fullShape(typeOf(value))
  /** Several values for each element of a node's output. */
  const planesOf = (planes: number, { name }: Node, shape: Shape = shapeOf(name)): Shape => stacked(planes, shape)
  const scopeOf = (value: string, scope: Scope): Scope =>
    isInvariant(value) || (scope !== "rates" && isObserved(value)) || analysis.longestLag(value) > 0 ? "batch" : scope

  const parameter: Memory["parameter"] = ({ name, role, shape }) =>
    buffer({ role: "parameter", owner: name }, role === "weight" ? "parameter" : "statistic", shape)
  const parameterGradient: Memory["parameterGradient"] = ({ name, shape }) =>
    buffer({ role: "gradient", owner: name }, "gradient", shape)

  for (const each of graph.parameters) if (each.role === "weight") parameter(each)
  for (const each of graph.parameters) if (each.role !== "weight") parameter(each)
  if (training) weights.forEach(parameterGradient)
  const input = buffer({ role: "input" }, "input", shapeOf(inputName))
  const outputs = Object.entries(outputsOf(graph)).map(([name, node], i) => ({
    node,
    ref: buffer(
      { role: "outputs", ...(i > 0 && { owner: name }) },
      "metric",
      shapeOf(node),
      request.outputs === "step" ? { slots: timeSteps } : {},
    ),
  }))
  const metrics = buffer({ role: "metrics" }, "metric", [1 + spiking.length])
  const hasLabels = training && !Array.isArray(request.loss)
  const labels = hasLabels ? buffer({ role: "labels" }, "input", [samples]) : undefined

  /** Steps of which a value stays readable. */
  const recordedSteps = (owner: string): number => (analysis.isRecorded(owner) && !isInvariant(owner) ? timeSteps : 1)

  /** A value that is read in later steps too: it is stored for as many as they are later. */
  const ring = (owner: string): Ref => {
    const stored = training && window > 1 ? checkpointInterval : 1
    const slots = Math.max(stored + analysis.longestLag(owner), recordedSteps(owner))
    return buffer({ role: "value", owner }, "state", shapeOf(owner), { elements: typeOf(owner).elements, slots })
  }

  return {
    buffers,
    buffer,
    shapeOf,
    input,
    outputs,
    metrics,
    parameter,
    parameterGradient,
    labels,
    scopeOf,
    hyperparameters: () => buffer({ role: "hyperparameters" }, "input", [request.optimizer?.numbers(1, 1).length ?? 0]),
    optimizer: ({ name, shape }) => {
      const planes = request.optimizer?.states.length ?? 0
      if (planes === 0) return undefined
      return buffer({ role: "optimizer", owner: name }, "optimizer", stacked(planes, shape))
    },
    value: (value, scope) => {
      const owner = base(value)
      if (owner === inputName && (scope !== "rates" || isInvariant(owner) || request.encoding === "static"))
        return input
      const known = parameterOf(owner)
      if (known) return parameter(known)
      const lagged = analysis.lagged.get(owner)
      if (lagged) return { ...ring(lagged.source), lag: lagged.steps }
      if (analysis.longestLag(owner) > 0) return ring(owner)
      const where = scopeOf(owner, scope)
      const kind = owner === inputName ? "state" : where === "batch" && isObserved(owner) ? "metric" : "scratch"
      const elements = where === "rates" ? "float32" : typeOf(owner).elements
      return buffer({ role: "value", owner, ...(where === "batch" ? {} : { scope: where }) }, kind, shapeOf(owner), {
        elements,
        slots: recordedSteps(owner),
      })
    },
    recomputed: (value, scope) =>
      buffer({ role: "recomputed", owner: value, scope }, "scratch", shapeOf(value), {
        elements: scope === "rates" ? "float32" : typeOf(value).elements,
      }),
    gradient: (value, scope) => buffer({ role: "gradient", owner: value, scope }, "scratch", shapeOf(value)),
    gradientSum: (value) => buffer({ role: "accumulator", owner: value }, "accumulator", shapeOf(value)),
    residual: ({ name }, scope, part, shape, elements = "float32") =>
      buffer({ role: "residual", owner: name, part, scope: scopeOf(name, scope) }, "scratch", shape, { elements }),
    key: ({ name }) => buffer({ role: "key", owner: name }, "input", [2], { elements: "words" }),
    state: (node) => {
      const { kept, keptBefore, planes, shape } = stateOf(node) as State
      const needed = training && isWanted(node.name)
      const slots = (needed && (kept || keptBefore) ? checkpointInterval : 1) + (needed && keptBefore ? 1 : 0)
      return buffer({ role: "state", owner: node.name }, "state", planesOf(planes, node, shape), { slots })
    },
    // One for each run of steps of a window that is replayed and, unless the window is all there is, for what is next.
    checkpoint: (node) => {
      const whole = window === timeSteps && !request.partial
      const slots = Math.ceil(window / checkpointInterval) + (whole ? -1 : 1)
      const every = checkpointInterval
      const shape = planesOf((stateOf(node) as State).planes, node)
      return buffer({ role: "checkpoint", owner: node.name }, "state", shape, { slots, every })
    },
    carry: (node) => {
      const carried = (stateOf(node)?.edges ?? []).filter((edge) => !request.isCut(edge)).length
      if (carried === 0) return undefined
      return buffer({ role: "carry", owner: node.name }, "accumulator", planesOf(carried, node))
    },
    carriedBack: (node) => {
      const { name } = node
      const { steps } = lagOf(node) as { readonly steps: number }
      return buffer({ role: "carry", owner: name }, "accumulator", shapeOf(name), { slots: steps })
    },
    savedValue: (owner, lag) => {
      const whole = window === timeSteps && !request.partial
      const slots = Math.ceil(window / checkpointInterval) + (whole ? -1 : 1)
      const holding = { role: "checkpoint", owner, part: String(lag) } as const
      const { elements } = typeOf(owner)
      return buffer(holding, "state", shapeOf(owner), { elements, slots, every: checkpointInterval })
    },
    trace: (value) => buffer({ role: "trace", owner: base(value) }, "state", shapeOf(base(value))),
  }
}
