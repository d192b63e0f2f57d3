/** Shapes of tensors: extents from the slowest axis to the fastest, channels last. */

export type Shape = ReadonlyArray<number>

/** The number of elements. */
export const size = (shape: Shape): number => shape.reduce((product, extent) => product * extent, 1)

export const equals = (a: Shape, b: Shape): boolean => a.length === b.length && a.every((extent, i) => extent === b[i])

/** For people: `28×28×1`, or `scalar`. */
export const format = (shape: Shape): string => (shape.length === 0 ? "scalar" : shape.join("×"))
