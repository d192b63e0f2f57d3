/** Placement of buffers in the arena. */
import { byteLength } from "../spikes.ts"
import {
  type Buffer,
  type BufferKind,
  bufferBytes,
  bufferKinds,
  type Instruction,
  type SegmentName,
  segmentKinds,
  segmentNames,
} from "./program.ts"

/** A buffer that is not placed in the arena yet. */
export type DraftBuffer = Omit<Buffer, "offset" | "stride" | "lifetime">

/** The instruction with its buffers renumbered. */
export const moved = (instruction: Instruction, to: (buffer: number) => number): Instruction => ({
  ...instruction,
  operands: Object.fromEntries(
    Object.entries(instruction.operands).map(([name, ref]) => [name, { ...ref, buffer: to(ref.buffer) }]),
  ),
})

/** Alignment of slots in bytes: a cache line, and the widest vector. */
const alignment = 64

const align = (bytes: number): number => Math.ceil(bytes / alignment) * alignment

/** Kinds of buffers that occupy their memory for the whole program. */
export const persistent: ReadonlySet<BufferKind> = new Set([
  "parameter",
  "statistic",
  "gradient",
  "optimizer",
  "input",
  "metric",
  "state",
])

/** Whether a segment is repeated over time. Buffers that two such segments share are alive during all of them. */
const repeats = (segment: SegmentName): boolean => segmentKinds[segment].runs === "step"

interface Uses {
  readonly segments: Set<SegmentName>
  first: number
  last: number
}

/**
 * Places buffers in one arena. Persistent ones come first, by kind; the others share memory unless their lifetimes overlap, placed
 * by first fit in order of decreasing size.
 */
export const layOut = (
  drafts: ReadonlyArray<DraftBuffer>,
  segments: Readonly<Record<SegmentName, ReadonlyArray<Instruction>>>,
): { readonly buffers: ReadonlyArray<Buffer>; readonly arenaBytes: number } => {
  const uses = drafts.map((): Uses => ({ segments: new Set(), first: Number.POSITIVE_INFINITY, last: -1 }))
  let position = 0
  let loopStart = 0
  let loopEnd = 0
  for (const segment of segmentNames) {
    const start = position
    for (const { operands } of segments[segment]) {
      for (const { buffer } of Object.values(operands)) {
        const use = uses[buffer] as Uses
        use.segments.add(segment)
        use.first = Math.min(use.first, position)
        use.last = position
      }
      position++
    }
    if (segment === "forward") loopStart = start
    if (repeats(segment)) loopEnd = Math.max(loopStart, position - 1)
  }
  const end = Math.max(0, position - 1)

  return place(
    drafts.map((draft, i): Buffer => {
      const { segments: used, first, last } = uses[i] as Uses
      const staysInLoop = used.size > 1 && [...used].some(repeats)
      const lifetime: Buffer["lifetime"] = persistent.has(draft.kind)
        ? [0, end]
        : staysInLoop
          ? [Math.min(first, loopStart), Math.max(last, loopEnd)]
          : [first, last]
      return { ...draft, lifetime, offset: 0, stride: align(byteLength(draft.shape, draft.elements)) }
    }),
  )
}

const place = (
  buffers: ReadonlyArray<Buffer>,
): { readonly buffers: ReadonlyArray<Buffer>; readonly arenaBytes: number } => {
  let top = 0
  const offsets = new Map<string, number>()
  for (const kind of bufferKinds)
    for (const buffer of buffers)
      if (buffer.kind === kind && persistent.has(kind)) {
        offsets.set(buffer.name, top)
        top += bufferBytes(buffer)
      }

  const shared = buffers.filter(({ kind }) => !persistent.has(kind))
  const taken: Array<{ readonly from: number; readonly to: number; readonly lifetime: Buffer["lifetime"] }> = []
  let arenaBytes = top
  for (const buffer of shared.toSorted((a, b) => bufferBytes(b) - bufferBytes(a))) {
    const bytes = bufferBytes(buffer)
    const [first, last] = buffer.lifetime
    const conflicts = taken
      .filter(({ lifetime: [from, to] }) => from <= last && first <= to)
      .sort((a, b) => a.from - b.from)
    let offset = top
    for (const conflict of conflicts) {
      if (conflict.from - offset >= bytes) break
      offset = Math.max(offset, conflict.to)
    }
    taken.push({ from: offset, to: offset + bytes, lifetime: buffer.lifetime })
    offsets.set(buffer.name, offset)
    arenaBytes = Math.max(arenaBytes, offset + bytes)
  }
  return { buffers: buffers.map((buffer) => ({ ...buffer, offset: offsets.get(buffer.name) as number })), arenaBytes }
}
