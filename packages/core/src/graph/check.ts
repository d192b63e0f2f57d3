/** What holds for every graph, whether it was built by layers or read from a file. */
import { GraphError } from "../errors.ts"
import type { ValueType } from "../op.ts"
import { equals, format, mustExist } from "../shape.ts"
import { quote } from "../text.ts"
import { infer } from "./builder.ts"
import { type Graph, inputName } from "./graph.ts"

/** The node whose memory holds a value; none if that is the input's or a parameter's, or if values delay each other in a ring. */
const sourceOf = (nodes: Graph["nodes"], value: string): Graph["nodes"][number] | undefined => {
  const seen = new Set<string>()
  for (let at: string | undefined = value; at !== undefined && !seen.has(at); ) {
    seen.add(at)
    const node = nodes.find(({ name }) => name === at)
    const op = node?.rule
    if (op === undefined || !(op.view || op.lag)) return node
    at = node?.inputs[0]
  }
  return undefined
}

/**
 * The type of every value of a graph, by name.
 *
 * @throws GraphError at the first parameter or node that does not fit
 */
export const typesOf = ({ input, parameters, nodes, output }: Omit<Graph, "types">): Map<string, ValueType> => {
  const types = new Map<string, ValueType>()
  const failAt = (node: string) => (reason: string) => {
    throw new GraphError({ node, reason })
  }
  const define = (name: string, type: ValueType) => {
    if (types.has(name)) failAt(name)("the name is used twice")
    types.set(name, type)
  }
  mustExist("the input", input, failAt(inputName))
  define(inputName, { shape: input, elements: "float32", batched: true })
  for (const { name, shape, role } of parameters) {
    mustExist("the parameter", shape, failAt(name))
    define(name, { shape, elements: "float32", batched: false, ...(role === "statistic" ? { statistic: true } : {}) })
  }
  for (const { name, rule: op, attributes, inputs } of nodes) {
    if (op.lag && inputs.length !== 1) failAt(name)(`it has ${inputs.length} inputs; it takes 1`)
    const known = (op.lag ? [] : inputs).map(
      (each) => types.get(each) ?? failAt(name)(`its input ${quote(each)} does not stand before it`),
    )
    define(name, infer(name, op, attributes, known))
  }
  for (const { name, rule, inputs } of nodes) {
    if (!rule.lag) continue
    const source = sourceOf(nodes, inputs[0] as string)
    const [own, theirs] = [types.get(name) as ValueType, types.get(inputs[0] as string)]
    if (source === undefined || theirs === undefined || !theirs.batched)
      failAt(name)(`its input ${quote(inputs[0])} is not computed by a node; a delayed value must be`)
    else if (!equals(own.shape, theirs.shape) || own.elements !== theirs.elements)
      failAt(name)(`it is ${format(own.shape)} ${own.elements}, its input ${format(theirs.shape)} ${theirs.elements}`)
  }
  if (!nodes.some(({ name }) => name === output)) failAt("graph")(`the output ${quote(output)} is no node of the graph`)
  const { shape, batched } = types.get(output) as ValueType
  if (!batched) failAt(output)("the read-out does not depend on the input")
  if (shape.length !== 1)
    failAt(output)(`the read-out is ${format(shape)}; it must be one row of classes: add flatten()`)
  return types
}
