/** Residuals: what is kept from forward steps to their backward ones. */
import { type DraftBuffer, moved } from "./layout.ts"
import { bufferNames, type Encoding, type Instruction, type SegmentName } from "./program.ts"

/**
 * What backward steps read of the forward steps before them is kept for all steps of the stretch; a step that runs again has
 * memory of its own for the rest, so that it is free between the two.
 */
export const keepOverTime = (
  buffers: ReadonlyArray<DraftBuffer>,
  segments: Record<SegmentName, ReadonlyArray<Instruction>>,
  stretch: number,
  encoding: Encoding,
): ReadonlyArray<DraftBuffer> => {
  const usedIn = (...names: ReadonlyArray<SegmentName>) =>
    new Set(
      names.flatMap((name) =>
        segments[name].flatMap(({ operands }) => Object.values(operands).map((ref) => ref.buffer)),
      ),
    )
  const before = usedIn("begin", "end")
  const ahead = usedIn("keep")
  const back = usedIn("backward", "backwardThrough")
  const kept = buffers.map((draft, i) => {
    if (!ahead.has(i) || !back.has(i) || before.has(i)) return draft
    if (draft.kind === "scratch") return { ...draft, kind: "residual" as const, slots: stretch }
    if (draft.kind === "metric" && draft.name.startsWith("value/")) return { ...draft, slots: stretch }
    if (draft.name === bufferNames.input && encoding === "frames") return { ...draft, slots: stretch }
    return draft
  })
  const own = new Map<number, number>()
  for (const i of usedIn("replay")) {
    const draft = kept[i] as DraftBuffer
    if (draft.kind !== "scratch" || before.has(i)) continue
    own.set(i, kept.length)
    kept.push({ ...draft, name: draft.name.replace(/^keep/, "replay") })
  }
  segments.replay = segments.replay.map((instruction) => moved(instruction, (i) => own.get(i) ?? i))
  return kept
}
