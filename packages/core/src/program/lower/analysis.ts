/** Analysis of a graph for a request: which nodes run, which of them run in every time step, and whose gradients are wanted. */
import { type Graph, inputName, type Node, type Parameter } from "../../graph/graph.ts"
import { lagOf, opOf, outputsOf, spikingLayers, stateOf } from "../../graph/nodes.ts"
import type { ValueType } from "../../op.ts"
import type { Request } from "./request.ts"

/** Properties of a graph, for a request. */
export interface Analysis {
  readonly graph: Graph
  readonly typeOf: (value: string) => ValueType
  /** The node that computes a value; `undefined` for the input and parameters. */
  readonly nodeOf: (value: string) => Node | undefined
  readonly parameterOf: (value: string) => Parameter | undefined
  /** The value whose memory a value uses: itself, unless it is a view of another. */
  readonly base: (value: string) => string
  /** The values whose memory a node reads. */
  readonly inputsOf: (node: Node) => ReadonlyArray<string>
  /** Trained parameters that the loss depends on. */
  readonly weights: ReadonlyArray<Parameter>
  /** Nodes that run once per micro-batch, and nodes that run in every time step, in order of execution. Views never run. */
  readonly hoisted: ReadonlyArray<Node>
  readonly repeated: ReadonlyArray<Node>
  /**
   * Live nodes that return a value of an earlier step: the source in memory and the number of steps. A node comes after the ones
   * that it delays.
   */
  readonly lagged: ReadonlyMap<string, { readonly source: string; readonly steps: number; readonly node: Node }>
  /** The longest lag at which a value is read, or 0. */
  readonly longestLag: (value: string) => number
  /** Nodes with state. All of them are repeated. */
  readonly stateful: ReadonlyArray<Node>
  /** Layers of spiking neurons, whose firing rates are metrics. */
  readonly spiking: ReadonlyArray<Node>
  /** Whether a value is time-invariant. */
  readonly isInvariant: (value: string) => boolean
  /** Whether the gradient of a value is needed for the gradients of weights. */
  readonly isWanted: (value: string) => boolean
  /** Whether a value can be read after a step. */
  readonly isObserved: (value: string) => boolean
  /** Whether a value of every step can be read. */
  readonly isRecorded: (value: string) => boolean
  /** Whether a value is an output or measured by the loss. */
  readonly isMeasured: (value: string) => boolean
  /** Whether the gradients that time steps send to a node are summed, because its backward direction runs once. */
  readonly sumsGradients: (node: string) => boolean
}

/** Analyses a graph for a request. */
export const analyse = (graph: Graph, request: Request): Analysis => {
  const nodes = new Map(graph.nodes.map((node) => [node.name, node]))
  const parameters = new Map(graph.parameters.map((parameter) => [parameter.name, parameter]))
  const typeOf = (value: string): ValueType => graph.types.get(value) as ValueType
  const isView = (node: Node): boolean => opOf(node).view?.(request.mode) ?? false
  const inputsOf = (node: Node): ReadonlyArray<string> => (isView(node) ? node.inputs.slice(0, 1) : node.inputs)
  const base = (value: string): string => {
    const node = nodes.get(value)
    return node !== undefined && isView(node) ? base(node.inputs[0] as string) : value
  }

  const live = new Set<string>()
  const visit = (value: string): void => {
    if (live.has(value)) return
    live.add(value)
    const node = nodes.get(value)
    if (node) inputsOf(node).forEach(visit)
  }
  const measured = new Set([...Object.values(outputsOf(graph)), ...request.measured])
  measured.forEach(visit)
  const running = graph.nodes.filter((node) => live.has(node.name) && !isView(node) && !lagOf(node))
  const lagged = laggedOf(
    graph.nodes.filter(({ name }) => live.has(name)),
    nodes,
    base,
  )
  const longest = new Map<string, number>()
  for (const { source, steps } of lagged.values()) longest.set(source, Math.max(steps, longest.get(source) ?? 0))

  const invariant = new Set<string>(parameters.keys())
  if (request.encoding === "static" && request.hoist) invariant.add(inputName)
  const isTrained = ({ name, role }: Parameter) => role === "weight" && !request.trained?.frozen.has(name)
  const wanted = new Set<string>(graph.parameters.filter(isTrained).map(({ name }) => name))
  for (const node of graph.nodes) {
    const inputs = inputsOf(node)
    const stateless = stateOf(node) === undefined && !lagOf(node) && !longest.has(node.name)
    if (stateless && inputs.every((input) => invariant.has(input)) && (request.hoist || inputs.length === 0))
      invariant.add(node.name)
  }
  const passes = (node: Node): boolean => {
    const edge = lagOf(node)?.edge
    return edge === undefined || (request.window > 1 && !request.isCut(edge))
  }
  // Lagged edges lead backwards in the order of nodes, so one pass may not suffice.
  for (let before = -1; before !== wanted.size; ) {
    before = wanted.size
    for (const node of graph.nodes)
      if (passes(node) && inputsOf(node).some((input) => wanted.has(input))) wanted.add(node.name)
  }

  const hoisted = running.filter((node) => invariant.has(node.name))
  const repeated = running.filter((node) => !invariant.has(node.name))
  const observed = new Set([...request.observe, ...request.record].map(base))
  const recorded = new Set(request.record.map(base))
  const usedInLoop = new Set(repeated.flatMap((node) => inputsOf(node).map(base)))
  for (const value of measured) usedInLoop.add(base(value))

  return {
    graph,
    typeOf,
    nodeOf: (value) => nodes.get(value),
    parameterOf: (value) => parameters.get(value),
    base,
    inputsOf: (node) => inputsOf(node).map(base),
    weights: graph.parameters.filter((each) => isTrained(each) && live.has(each.name)),
    hoisted,
    repeated,
    lagged,
    longestLag: (value) => longest.get(value) ?? 0,
    stateful: repeated.filter((node) => stateOf(node) !== undefined),
    spiking: spikingLayers(graph).filter(({ name }) => live.has(name)),
    isInvariant: (value) => invariant.has(value),
    isWanted: (value) => wanted.has(value),
    isObserved: (value) => observed.has(value),
    isRecorded: (value) => recorded.has(value),
    isMeasured: (value) => [...measured].some((each) => base(each) === value),
    sumsGradients: (node) => invariant.has(node) && usedInLoop.has(node),
  }
}

/** The sources of lagged nodes. A delay of a delay is a longer delay, and comes after it. */
const laggedOf = (
  live: ReadonlyArray<Node>,
  nodes: ReadonlyMap<string, Node>,
  base: (value: string) => string,
): Analysis["lagged"] => {
  const from = (node: Node): { readonly source: string; readonly steps: number; readonly depth: number } => {
    const { steps } = lagOf(node) as { readonly steps: number }
    const source = base(node.inputs[0] as string)
    const before = nodes.get(source)
    if (before === undefined || !lagOf(before)) return { source, steps, depth: 0 }
    const further = from(before)
    return { source: further.source, steps: steps + further.steps, depth: further.depth + 1 }
  }
  const found = live.filter((node) => lagOf(node)).map((node) => ({ ...from(node), node }))
  return new Map(found.sort((a, b) => a.depth - b.depth).map((each) => [each.node.name, each]))
}
