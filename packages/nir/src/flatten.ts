/** Flattens a document to one graph: nodes of nested graphs by path, checked, in an order of execution. */
import { quote } from "@spikeroute/core/text"
import { type Document, NirError, type NirNode, type Value } from "./document.ts"
import { kinds } from "./neurons.ts"

/** A node with its inputs. */
export interface FlatNode {
  readonly path: string
  readonly type: string
  readonly parameters: ReadonlyMap<string, Value>
  /** Inputs of the same step, and inputs of the previous step. */
  readonly sources: ReadonlyArray<string>
  readonly delayed: ReadonlyArray<string>
}

const refuse = (node: string, reason: string): never => {
  throw new NirError({ node, reason })
}

/** The required and optional parameters of each type except neurons. */
const parametersOf: Readonly<
  Record<string, readonly [needed: ReadonlyArray<string>, optional: ReadonlyArray<string>]>
> = {
  Input: [["shape"], []],
  Output: [["shape"], []],
  Linear: [["weight"], []],
  Affine: [["weight", "bias"], []],
  Scale: [["scale"], []],
  Threshold: [["threshold"], []],
  Delay: [["delay"], []],
  Conv1d: [["weight", "stride", "padding", "dilation", "groups", "bias"], ["input_shape"]],
  Conv2d: [["weight", "stride", "padding", "dilation", "groups", "bias"], ["input_shape"]],
  SumPool2d: [["kernel_size", "stride", "padding"], []],
  AvgPool2d: [["kernel_size", "stride", "padding"], []],
  Flatten: [["start_dim", "end_dim"], ["input_type"]],
}

const checkNode = (path: string, { type, parameters }: NirNode): void => {
  const neuron = kinds.get(type)
  const [needed, optional] = neuron
    ? [neuron.parameters.filter((name) => name !== "v_reset"), ["v_reset"].filter(() => neuron.fires)]
    : (parametersOf[type] ?? refuse(path, `its type ${quote(type)} is none of NIR's`))
  for (const name of needed) if (!parameters.has(name)) refuse(path, `${type} has no ${name}`)
  for (const [name, value] of parameters) {
    if (!needed.includes(name) && !optional.includes(name)) refuse(path, `${type} takes no parameter ${quote(name)}`)
    if (typeof value !== "string" && !value.values.every(Number.isFinite))
      refuse(path, `${name} has a value that is not finite`)
  }
}

type Edge = readonly [from: string, to: string]

/**
 * Nodes by path, and the edges between them. A nested graph is represented by its Input for incoming edges, and by its Output for
 * outgoing ones.
 */
const unnest = (
  node: NirNode,
  path: string,
): { readonly nodes: Map<string, NirNode>; readonly edges: Array<Edge>; readonly ports: readonly [string, string] } => {
  if (node.nodes === undefined) refuse(path, "a graph has no nodes")
  if (node.edges === undefined) refuse(path, "a graph has no edges")
  const below = (name: string) => (path === "" ? name : `${path}/${name}`)
  const nodes = new Map<string, NirNode>()
  const edges: Array<Edge> = []
  const ports = new Map<string, readonly [into: string, out: string]>()
  for (const [name, child] of node.nodes as ReadonlyMap<string, NirNode>) {
    if (child.type === "NIRGraph") {
      const inner = unnest(child, below(name))
      for (const [each, own] of inner.nodes) nodes.set(each, own)
      edges.push(...inner.edges)
      ports.set(name, inner.ports)
    } else {
      checkNode(below(name), child)
      nodes.set(below(name), child)
      ports.set(name, [below(name), below(name)])
    }
  }
  const port = (name: string, side: 0 | 1) =>
    ports.get(name)?.[side] ?? refuse(path, `an edge names ${quote(name)}; there is no such node`)
  for (const [from, to] of node.edges as ReadonlyArray<Edge>) edges.push([port(from, 1), port(to, 0)])
  if (path === "") return { nodes, edges, ports: ["", ""] }
  const only = (type: string) => {
    const found = [...(node.nodes as ReadonlyMap<string, NirNode>)].filter(([, child]) => child.type === type)
    return found.length === 1
      ? below((found[0] as readonly [string, NirNode])[0])
      : refuse(path, `a nested graph needs one ${type}; this has ${found.length}`)
  }
  return { nodes, edges, ports: [only("Input"), only("Output")] }
}

/** Whether a node's output depends on earlier steps, so that a loop through it is well defined. */
const remembers = (type: string): boolean => kinds.has(type)

/** The nodes reachable from a node. */
const reachable = (start: string, next: ReadonlyMap<string, ReadonlyArray<string>>): ReadonlySet<string> => {
  const seen = new Set<string>()
  const open = [...(next.get(start) ?? [])]
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    if (seen.has(node)) continue
    seen.add(node)
    open.push(...(next.get(node) ?? []))
  }
  return seen
}

const adjacency = (edges: ReadonlyArray<Edge>, side: 0 | 1): Map<string, Array<string>> => {
  const lists = new Map<string, Array<string>>()
  for (const edge of edges) lists.set(edge[side], [...(lists.get(edge[side]) ?? []), edge[1 - side] as string])
  return lists
}

/** Back edges of a depth-first search from the inputs. */
const backEdges = (
  starts: ReadonlyArray<string>,
  next: ReadonlyMap<string, ReadonlyArray<string>>,
): ReadonlyArray<Edge> => {
  const found: Array<Edge> = []
  const state = new Map<string, "open" | "done">()
  for (const start of starts) {
    if (state.has(start)) continue
    const way: Array<{ node: string; left: Array<string> }> = [{ node: start, left: [...(next.get(start) ?? [])] }]
    state.set(start, "open")
    for (let top = way.at(-1); top !== undefined; top = way.at(-1)) {
      const target = top.left.shift()
      if (target === undefined) {
        state.set(top.node, "done")
        way.pop()
      } else if (state.get(target) === "open") found.push([top.node, target])
      else if (!state.has(target)) {
        state.set(target, "open")
        way.push({ node: target, left: [...(next.get(target) ?? [])] })
      }
    }
  }
  return found
}

/**
 * Edges that read the value of the previous step: in each loop, those that leave its last neurons. A loop without a neuron is not
 * defined within one step.
 */
const laggedEdges = (
  nodes: ReadonlyMap<string, NirNode>,
  edges: ReadonlyArray<Edge>,
  starts: ReadonlyArray<string>,
): ReadonlySet<string> => {
  const [next, previous] = [adjacency(edges, 0), adjacency(edges, 1)]
  const lagged = new Set<string>()
  for (const [from, to] of backEdges(starts, next)) {
    const loop = reachable(to, next)
    const seen = new Set<string>()
    const back = (source: string, target: string): void => {
      if (remembers((nodes.get(source) as NirNode).type)) lagged.add(JSON.stringify([source, target]))
      else if (source === to) refuse(source, "a loop without a neuron has no meaning within one step")
      else
        for (const before of previous.get(source) ?? []) {
          const key = `${before} ${source}`
          if (!loop.has(before) || seen.has(key)) continue
          seen.add(key)
          back(before, source)
        }
    }
    back(from, to)
  }
  return lagged
}

/** The nodes of a document in an order of execution, starting with its only input. */
export const flattened = ({ node }: Document): ReadonlyArray<FlatNode> => {
  const isGraph = node.type === "NIRGraph"
  if (!isGraph) checkNode("", node)
  const { nodes, edges: listed } = isGraph
    ? unnest(node, "")
    : { nodes: new Map([["node", node]]), edges: [] as Array<Edge> }
  const edges = [...new Map(listed.map((edge) => [JSON.stringify(edge), edge] as const)).values()]
  const [next, previous] = [adjacency(edges, 0), adjacency(edges, 1)]
  const inputs = [...nodes].filter(([, { type }]) => type === "Input").map(([path]) => path)
  const own = inputs.filter((path) => !previous.has(path))
  if (own.length > 1) refuse("", `it has ${own.length} inputs, ${own.map(quote).join(", ")}; networks here have one`)
  const starts = own.length === 1 ? own : [...nodes.keys()].filter((path) => !previous.has(path))
  if (starts.length !== 1) refuse("", "it has no Input, nor exactly one node without incoming edges")
  const start = starts[0] as string
  const reached = reachable(start, next)
  for (const path of nodes.keys())
    if (path !== start && !reached.has(path)) refuse(path, "no edges lead from the input to it")

  const lagged = laggedEdges(nodes, edges, starts)
  const isLagged = (edge: Edge) => lagged.has(JSON.stringify(edge))
  const waits = new Map([...nodes.keys()].map((path) => [path, 0]))
  for (const edge of edges) if (!isLagged(edge)) waits.set(edge[1], (waits.get(edge[1]) as number) + 1)
  const ready = [start, ...[...nodes.keys()].filter((path) => path !== start && waits.get(path) === 0).sort()]
  const order: Array<FlatNode> = []
  for (let path = ready.shift(); path !== undefined; path = ready.shift()) {
    const { type, parameters } = nodes.get(path) as NirNode
    const into = (delayed: boolean) =>
      (previous.get(path as string) ?? []).filter((from) => isLagged([from, path as string]) === delayed).sort()
    order.push({ path, type, parameters, sources: into(false), delayed: into(true) })
    for (const target of next.get(path) ?? []) {
      if (isLagged([path, target])) continue
      const left = (waits.get(target) as number) - 1
      waits.set(target, left)
      if (left === 0) ready.push(target)
    }
  }
  if (order.length < nodes.size) {
    const stuck = [...nodes.keys()].find((path) => order.every((each) => each.path !== path))
    refuse(stuck ?? "", "a loop without a neuron has no meaning within one step")
  }
  return order
}
