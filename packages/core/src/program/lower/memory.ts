/** The buffers of a program, created on first reference and listed in that order. */
import { inputName, type Node, type Parameter } from "../../graph/graph.ts"
import { outputsOf, stateOf } from "../../graph/nodes.ts"
import type { Ref, State, ValueType } from "../../op.ts"
import type { Shape } from "../../shape.ts"
import type { Elements } from "../../spikes.ts"
import type { DraftBuffer } from "../layout.ts"
import { type Holding, microBatchSize, nameOf } from "../program.ts"
import type { Analysis } from "./analysis.ts"
import type { Request } from "./request.ts"

/** The lifetime of a value: a micro-batch, or a step of one kind. */
export type Scope = "batch" | "forward" | "train" | "keep" | "rates"

/** The buffers of a program during lowering. */
export interface Memory {
  readonly buffers: ReadonlyArray<DraftBuffer>
  /** A buffer by its contents, created on first use. */
  readonly buffer: (
    holding: Holding,
    kind: DraftBuffer["kind"],
    shape: Shape,
    options?: { readonly elements?: Elements; readonly slots?: number; readonly every?: number },
  ) => Ref
  /** The shape of a value, including the micro-batch axis. */
  readonly shapeOf: (value: string) => Shape
  /** The input of the program. */
  readonly input: Ref
  /** The labels, for the loss of one class per sample. */
  readonly labels: Ref | undefined
  /** The buffers of the read-outs and their nodes. */
  readonly outputs: ReadonlyArray<{ readonly node: string; readonly ref: Ref }>
  readonly metrics: Ref
  /** The buffers of a parameter and of its gradient. */
  readonly parameter: (parameter: Parameter) => Ref
  readonly parameterGradient: (parameter: Parameter) => Ref
  /** The actual scope of a value: hoisted and observed values have one buffer for all scopes. */
  readonly scopeOf: (value: string, scope: Scope) => Scope
  /** The buffer of a value for the instructions of a scope. */
  readonly value: (value: string, scope: Scope) => Ref
  /** A value other than the graph's that a node's forward direction stores for its backward direction. */
  readonly residual: (node: Node, scope: Scope, part: string, shape: Shape, elements?: Elements) => Ref
  readonly key: (node: Node) => Ref
  /** The state of a node at this step. */
  readonly state: (node: Node) => Ref
  /** The presynaptic trace of a value. */
  readonly trace: (value: string) => Ref
}

/** The shape of a number of planes; one plane adds no axis. */
export const stacked = (planes: number, shape: Shape): Shape => (planes === 1 ? shape : [planes, ...shape])

/** Creates the buffers that every program has; others follow on first use. */
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
  /** The shape of several values per element of a node's output. */
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

  /** Number of steps for which a value can be read. */
  const recordedSteps = (owner: string): number => (analysis.isRecorded(owner) && !isInvariant(owner) ? timeSteps : 1)

  /** A ring buffer for a value that later steps read. */
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
