/** Checks of complete graphs, whether built from layers or read from a file. */
import type { Schema } from "effect"
import { GraphError } from "../errors.ts"
import type { ValueType } from "../op.ts"
import { faultIn } from "../options.ts"
import { equals, format, mustExist } from "../shape.ts"
import { quote } from "../text.ts"
import { infer } from "./builder.ts"
import { type Graph, inputName, Name } from "./graph.ts"

/** The node whose memory holds a value; `undefined` if that is the input or a parameter, or if lagged nodes form a cycle. */
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
 * Infers the type of every value of a graph, by name.
 *
 * @throws GraphError at the first invalid parameter or node
 */
export const typesOf = ({
  input,
  parameters,
  nodes,
  output,
  outputs,
}: Omit<Graph, "types">): Map<string, ValueType> => {
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
      (each) => types.get(each) ?? failAt(name)(`its input ${quote(each)} is not defined before it`),
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
  if (outputs) checkNames(outputs, output, types, failAt("graph"))
  for (const readout of outputs ? Object.values(outputs) : [output]) {
    if (!nodes.some(({ name }) => name === readout))
      failAt("graph")(`the output ${quote(readout)} is not a node of the graph`)
    const { shape, batched } = types.get(readout) as ValueType
    if (!batched) failAt(readout)("the read-out does not depend on the input")
    if (shape.length !== 1)
      failAt(readout)(`the read-out is ${format(shape)}; it must be one row of classes: add flatten()`)
  }
  return types
}

/**
 * Names of read-outs become part of the names of buffers and files, so they must be valid and distinct from the names of other
 * values.
 */
const checkNames = (
  outputs: Readonly<Record<string, string>>,
  first: string,
  types: ReadonlyMap<string, ValueType>,
  fail: (reason: string) => never,
): void => {
  const nodes = Object.values(outputs)
  if (nodes[0] !== first) fail(`the first of the outputs is ${quote(nodes[0])}, not ${quote(first)}`)
  for (const [name, node] of Object.entries(outputs)) {
    const fault = faultIn(Name as Schema.Codec<unknown>, name)
    if (fault || /^\d+$/.test(name))
      fail(
        `the output's name ${quote(name)} must be 1 to 200 characters without control characters, and not a whole number`,
      )
    if (types.has(name) && name !== node) fail(`the output ${quote(name)} has the name of another value`)
    if (nodes.filter((each) => each === node).length > 1) fail(`two outputs are the node ${quote(node)}`)
  }
}
