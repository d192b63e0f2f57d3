/** The buffers of a program, made when something first refers to them. Their order is that of the first references. */
import { inputName, type Node, type Parameter } from "../../graph/graph.ts"
import { outputsOf, stateOf } from "../../graph/nodes.ts"
import type { Ref, State, ValueType } from "../../op.ts"
import type { Shape } from "../../shape.ts"
import type { Elements } from "../../spikes.ts"
import type { DraftBuffer } from "../layout.ts"
import { type Holding, microBatchSize, nameOf } from "../program.ts"
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
  /** A parameter and its gradient. */
  readonly parameter: (parameter: Parameter) => Ref
  readonly parameterGradient: (parameter: Parameter) => Ref
  /** The scope in which a value of another scope lives: values that are hoisted or observed have one memory for all. */
  readonly scopeOf: (value: string, scope: Scope) => Scope
  /** A value, where the instructions of a scope find it. */
  readonly value: (value: string, scope: Scope) => Ref
  /** What a node's forward direction leaves for its backward one, besides values. */
  readonly residual: (node: Node, scope: Scope, part: string, shape: Shape, elements?: Elements) => Ref
  readonly key: (node: Node) => Ref
  /** The state of a node at this step. */
  readonly state: (node: Node) => Ref
  /** The presynaptic trace of a value. */
  readonly trace: (value: string) => Ref
}

/** The shape of several planes of a shape, where there is more than one. */
export const stacked = (planes: number, shape: Shape): Shape => (planes === 1 ? shape : [planes, ...shape])

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
    residual: ({ name }, scope, part, shape, elements = "float32") =>
      buffer({ role: "residual", owner: name, part, scope: scopeOf(name, scope) }, "scratch", shape, { elements }),
    key: ({ name }) => buffer({ role: "key", owner: name }, "input", [2], { elements: "words" }),
    state: (node) => {
      const { kept, keptBefore, planes, shape } = stateOf(node) as State
      const needed = training && isWanted(node.name)
      const slots = (needed && (kept || keptBefore) ? checkpointInterval : 1) + (needed && keptBefore ? 1 : 0)
      return buffer({ role: "state", owner: node.name }, "state", planesOf(planes, node, shape), { slots })
    },
    trace: (value) => buffer({ role: "trace", owner: base(value) }, "state", shapeOf(base(value))),
  }
}
