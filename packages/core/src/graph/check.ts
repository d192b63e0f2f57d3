/** What holds for every graph, whether it was built by layers or read from a file. */
import { GraphError } from "../errors.ts"
import type { ValueType } from "../op.ts"
import { ops } from "../ops/index.ts"
import { format, mustExist } from "../shape.ts"
import { quote } from "../text.ts"
import { infer } from "./builder.ts"
import { type Graph, inputName } from "./graph.ts"

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
  for (const { name, op: opName, attributes, inputs } of nodes) {
    const op = ops.get(opName) ?? failAt(name)(`there is no op ${quote(opName)}`)
    const known = inputs.map(
      (each) => types.get(each) ?? failAt(name)(`its input ${quote(each)} does not stand before it`),
    )
    define(name, infer(name, op, attributes, known))
  }
  if (!nodes.some(({ name }) => name === output)) failAt("graph")(`the output ${quote(output)} is no node of the graph`)
  const { shape, batched } = types.get(output) as ValueType
  if (!batched) failAt(output)("the read-out does not depend on the input")
  if (shape.length !== 1)
    failAt(output)(`the read-out is ${format(shape)}; it must be one row of classes: add flatten()`)
  return types
}
