/**
 * Which axes of a network's values and parameters are ordered differently from PyTorch.
 *
 * A flattened image has its pixels first here and its channels first in PyTorch. The same holds for every axis that corresponds to
 * such features: of values up to the next linear layer, of their parameters (such as batch norm's, one per feature), of that
 * layer's weight, and of the weight, bias and statistics of a branch added to them. Corresponding axes are joined into sets; a
 * flatten records the number of pixels for its set.
 */
import { GraphError } from "../errors.ts"
import { type Graph, inputName, type Node } from "../graph/graph.ts"
import { equals, type Shape, size } from "../shape.ts"

/** Number of pixels along an axis of a value or parameter; 1 if the order is the same in both layouts. */
export type PixelsAlong = (name: string, axis: number) => number

/** Number of pixels of an image or positions of a sequence; 1 if the order of elements is the same in both layouts. */
const pixelsOf = (shape: Shape): number => (shape.length > 1 && shape.at(-1) !== 1 ? size(shape.slice(0, -1)) : 1)

/** Ops whose weight applies to the last axis. */
const mapOps: ReadonlySet<string> = new Set(["linear", "conv2d", "convTranspose"])

/**
 * Traces the order of features through a graph.
 *
 * @throws GraphError if features of images of different shapes are joined, which PyTorch joins differently
 */
export const pixelsAlong = (graph: Graph): PixelsAlong => {
  const parents = new Map<string, string>()
  const pixels = new Map<string, number>()
  const shapeOf = (name: string): Shape => graph.types.get(name)?.shape ?? []
  /** Identifier of an axis; negative axes count from the last. */
  const axisOf = (name: string, axis: number): string => `${name} ${axis < 0 ? axis + shapeOf(name).length : axis}`
  const rootOf = (axis: string): string => {
    const parent = parents.get(axis)
    return parent === undefined ? axis : rootOf(parent)
  }

  const follow = ({ name: node, op, inputs, attributes }: Node): void => {
    const label = (axis: string, count: number | undefined): void => {
      const root = rootOf(axis)
      const known = pixels.get(root)
      if (known !== undefined && count !== undefined && known !== count)
        throw new GraphError({
          node,
          reason:
            "features of images of different shapes meet here, which PyTorch orders in different ways: weights cannot come from it or go to it",
        })
      if (count !== undefined) pixels.set(root, count)
    }
    const join = (a: string, b: string): void => {
      const [root, other] = [rootOf(a), rootOf(b)]
      if (root === other) return
      label(root, pixels.get(other))
      parents.set(other, root)
    }
    const shape = shapeOf(node)
    const [x = "", weight = "", bias] = inputs
    if (shape.length > 1 && graph.types.get(node)?.batched) label(axisOf(node, -1), 1)
    if (op === "flatten") {
      if (shapeOf(x).length === 1) join(axisOf(node, 0), axisOf(x, 0))
      else label(axisOf(node, 0), pixelsOf(shapeOf(x)))
    } else if (op === "reshape") {
      // The reverse of a flatten: a vector becomes an image.
      const theirs = shapeOf(x)
      if (theirs.length === 1) label(axisOf(x, 0), pixelsOf(shape))
    } else if (op === "transpose")
      (attributes.axes as ReadonlyArray<number>).forEach((axis, i) => {
        join(axisOf(node, i), axisOf(x, axis))
      })
    else if (op === "slice" || op === "concatenate") {
      // In another order of features, the op would select or join other elements.
      for (const value of [node, ...inputs]) label(axisOf(value, attributes.axis as number), 1)
      for (const input of inputs)
        shape.forEach((_, i) => {
          if (i !== attributes.axis) join(axisOf(node, i), axisOf(input, i))
        })
    } else if (mapOps.has(op)) {
      // The inputs of a group are channels, whose order is the same.
      if (shapeOf(weight).at(-2) === shapeOf(x).at(-1)) join(axisOf(weight, -2), axisOf(x, -1))
      for (const each of [weight, bias]) if (each !== undefined) join(axisOf(node, -1), axisOf(each, -1))
    } else
      for (const input of inputs) {
        const theirs = shapeOf(input)
        if (equals(theirs, shape))
          shape.forEach((_, i) => {
            join(axisOf(node, i), axisOf(input, i))
          })
        else if (theirs.length > 0 && theirs.at(-1) === shape.at(-1)) join(axisOf(node, -1), axisOf(input, -1))
        else if (theirs.length === 1 && theirs[0] === size(shape)) label(axisOf(input, 0), pixelsOf(shape))
      }
  }
  // Samples without pixels have the same order of features, and images are reordered as a whole.
  pixels.set(axisOf(inputName, -1), 1)
  for (const node of graph.nodes) follow(node)
  return (name, axis) => pixels.get(rootOf(axisOf(name, axis))) ?? 1
}
