/**
 * What a NIR file holds, as plain data: nodes with parameters, and graphs of nodes (Pedersen et al., "Neuromorphic intermediate
 * representation: a unified instruction set for interoperable brain-inspired computing", Nature Communications 2024).
 */
import { Options } from "@spikeroute/core"
import { Data } from "effect"

/** A parameter of numbers: an array in row-major order, or one number where the shape is empty. */
export interface Numbers {
  readonly shape: ReadonlyArray<number>
  readonly values: Float64Array
  /** The type in the file, as `<f4`, so that what is written again is the same. */
  readonly dtype: string
}

/** A parameter: numbers, or a text, as the padding `same`. */
export type Value = Numbers | string

/** What a file says beside the network. */
export interface Metadata {
  readonly [name: string]: Value | Metadata
}

/** A node, which is a graph where it has nodes and edges. */
export interface NirNode {
  readonly type: string
  readonly parameters: ReadonlyMap<string, Value>
  readonly metadata?: Metadata
  readonly nodes?: ReadonlyMap<string, NirNode>
  readonly edges?: ReadonlyArray<readonly [from: string, to: string]>
}

/** A file: the version of `nir` that wrote it, and its outermost node. */
export interface Document {
  readonly version: string
  readonly node: NirNode
}

/** What functions of documents take. */
export const aDocument: Options.Kind = ["a document, as Nir.read gives", Options.has("version", "node")]

/** A file that is malformed, or a network that one of the two sides cannot say. */
export class NirError extends Data.TaggedError("NirError")<{
  /** The file, where there is one. */
  readonly file?: string
  /** The path of the node, as `block/lif`; empty for the file as a whole. */
  readonly node: string
  readonly reason: string
}> {
  override get message(): string {
    return [this.file, this.node, this.reason].filter((part) => part !== undefined && part !== "").join(": ")
  }
}
