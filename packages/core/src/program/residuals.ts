/** Residuals: what forward steps store for their backward steps. */
import { type DraftBuffer, moved } from "./layout.ts"
import { type Encoding, type Instruction, nameOf, type SegmentName, segmentKinds, segmentNames } from "./program.ts"

/**
 * Gives a slot per step between checkpoints to every buffer that backward steps read of earlier forward steps. All other buffers of
 * a replayed step get memory of their own, so that it is free between the two directions.
 */
export const keepOverTime = (
  buffers: ReadonlyArray<DraftBuffer>,
  segments: Record<SegmentName, ReadonlyArray<Instruction>>,
  checkpointInterval: number,
  encoding: Encoding,
): ReadonlyArray<DraftBuffer> => {
  const usedIn = (which: (name: SegmentName) => boolean) =>
    new Set(
      segmentNames.flatMap((name) =>
        which(name) ? segments[name].flatMap(({ operands }) => Object.values(operands).map((ref) => ref.buffer)) : [],
      ),
    )
  const before = usedIn((name) => segmentKinds[name].runs === "microBatch")
  const ahead = usedIn((name) => name === "keep")
  const back = usedIn((name) => segmentKinds[name].direction === "backward")
  const kept = buffers.map((draft, i) => {
    if (!ahead.has(i) || !back.has(i) || before.has(i)) return draft
    if (draft.kind === "scratch") return { ...draft, kind: "residual" as const, slots: checkpointInterval }
    if (draft.kind === "metric" && draft.role === "value") return { ...draft, slots: checkpointInterval }
    if (draft.role === "input" && encoding === "frames") return { ...draft, slots: checkpointInterval }
    return draft
  })
  const own = new Map<number, number>()
  for (const i of usedIn((name) => name === "replay")) {
    const draft = kept[i] as DraftBuffer
    if (draft.kind !== "scratch" || before.has(i)) continue
    own.set(i, kept.length)
    const replayed = { ...draft, scope: "replay" } as const
    kept.push({ ...replayed, name: nameOf(replayed) })
  }
  segments.replay = segments.replay.map((instruction) => moved(instruction, (i) => own.get(i) ?? i))
  return kept
}
