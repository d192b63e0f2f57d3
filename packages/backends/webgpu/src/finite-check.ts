/** Checks that all gradients are finite: one dispatch over their range of the arena, which sets the word after scratch memory if not. */
import { Program } from "@spikeroute/core"
import type { Commands } from "./commands.ts"

const threads = 64
/** Words per thread, until the grid reaches `mostWorkgroups`. */
const wordsAThread = 16
const mostWorkgroups = 1024

export interface FiniteCheck {
  readonly source: string
  readonly workgroups: number
}

/** The check, or `undefined` if the program has no gradients. */
export const finiteCheck = ({ buffers, scratch }: Pick<Commands, "buffers" | "scratch">): FiniteCheck | undefined => {
  const gradients = buffers.filter(({ kind }) => kind === "gradient")
  if (gradients.length === 0) return undefined
  const from = Math.min(...gradients.map(({ offset }) => offset)) / 4
  const to = Math.max(...gradients.map((buffer) => buffer.offset + Program.bufferBytes(buffer))) / 4
  const workgroups = Math.min(Math.ceil((to - from) / (threads * wordsAThread)), mostWorkgroups)
  const source = `
@group(0) @binding(0) var<storage, read_write> arena: array<u32>;
@group(0) @binding(2) var<storage, read_write> scratch: array<u32>;

@compute @workgroup_size(${threads})
fn main(@builtin(global_invocation_id) id: vec3u) {
  var found = false;
  for (var i = ${from}u + id.x; i < ${to}u; i += ${workgroups * threads}u) {
    found = found || (arena[i] & 0x7f800000u) == 0x7f800000u;
  }
  if (found) {
    scratch[${scratch}u] = 1u;
  }
}
`
  return { source, workgroups }
}
