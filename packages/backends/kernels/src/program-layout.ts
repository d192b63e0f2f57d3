/** Parses a program file into its metadata, the packed program and the position of its weights. program-file.ts describes the format. */
import { type Entry, type Layout, layoutOf } from "@spikeroute/core/safetensors-layout"
import { line, named, quote } from "@spikeroute/core/text"
import { kernelTable } from "./packed.ts"

/** The bytes are not a program file, or one that cannot run here. */
export class ProgramFileError extends Error {
  readonly _tag = "ProgramFileError"
  override readonly name = "ProgramFileError"
  constructor(
    reason: string,
    /** Offset of the offending byte in the file. */
    readonly offset: number,
  ) {
    super(line(reason))
  }
}

/** The JSON in the metadata entry `program`. */
interface Description {
  readonly encoding: "static" | "frames"
  /** Indices of buffers in the packed program, by name. */
  readonly buffers: Readonly<Record<string, number>>
}

/** Offset of the header, which contains the metadata. */
export const headerOffset = 8

const descriptionOf = ({ metadata }: Layout): Description => {
  const fail = (reason: string): never => {
    throw new ProgramFileError(reason, headerOffset)
  }
  if (metadata.format !== "spikeroute-program")
    return fail("not a program file; `bun run export RUN --format program` writes one")
  if (metadata.version !== "1")
    return fail(`the program file has version ${named(metadata.version ?? "unknown")}; this library reads version 1`)
  if (metadata.kernelTable !== String(kernelTable))
    return fail("the program was exported by another version of this library")
  let description: unknown
  try {
    description = JSON.parse(metadata.program ?? "")
  } catch {
    return fail("the metadata `program` is not JSON")
  }
  const { encoding, buffers } = (description ?? {}) as Partial<Description>
  if ((encoding !== "static" && encoding !== "frames") || typeof buffers !== "object" || buffers === null)
    return fail("the metadata `program` lacks the encoding or the buffers")
  return { encoding, buffers }
}

/** Copies bytes of a file to an aligned buffer. */
export const aligned = (
  file: Uint8Array,
  { from, to }: { readonly from: number; readonly to: number },
): ArrayBuffer => {
  const bytes = new Uint8Array(to - from)
  bytes.set(file.subarray(from, to))
  return bytes.buffer
}

export interface ProgramLayout extends Description {
  /** The file's tensors by name. */
  readonly entries: ReadonlyMap<string, Entry>
  readonly packed: Int32Array
  /** Offset of the packed program in the file. */
  readonly offset: number
}

/**
 * Parses a program file. The packed program itself is not validated here, but by the kernels.
 *
 * @throws ProgramFileError
 */
export const programOf = (file: Uint8Array): ProgramLayout => {
  if (!(file instanceof Uint8Array))
    throw new ProgramFileError(`the file is ${quote(file)}; it must be a Uint8Array`, 0)
  const layout = layoutOf(file)
  if ("reason" in layout) throw new ProgramFileError(layout.reason, layout.offset)
  const description = descriptionOf(layout)
  const program = layout.entries.get("program")
  if (program?.dtype !== "I32") throw new ProgramFileError("there is no tensor `program` of type I32", headerOffset)
  const packed = new Int32Array(aligned(file, program))
  return { ...description, entries: layout.entries, packed, offset: program.from }
}
