/**
 * Merges consecutive instructions that do the same to tensors of different sizes into one stage: the optimiser updates all parameters
 * in one dispatch.
 *
 * The stage reads a table with a row per instruction. Each workgroup takes one chunk of a tensor and finds its row by binary search,
 * which is uniform across the workgroup.
 */

import type { GpuInstruction } from "./gpu-instruction.ts"
import { elementCount } from "./kernels/expressions.ts"
import { accessorsOf, grid, type Operands, type Stage, setGroup } from "./shader.ts"

/** Kernels that often follow each other and whose shaders do not depend on shapes. Updates depend on the element count only. */
const kernels: ReadonlySet<string> = new Set(["zero", "copy"])

/** Elements per chunk. */
const chunk = 4096

type Each = NonNullable<Stage["each"]>

const stageOf = (operands: Operands, { body, declarations }: Each, counts: ReadonlyArray<number>): Stage => {
  const names = Object.keys(operands.byName)
  const chunks = counts.reduce((sum, count) => sum + Math.ceil(count / chunk), 0)
  const width = 2 + names.length
  return {
    text: `${names.map((name) => `var<private> place_${name}: u32;`).join("\n")}
${accessorsOf(operands, (name) => `place_${name}`)}
var<private> count: u32;
${declarations.replace(elementCount(`${counts[0]}u`), elementCount("count"))}
fn treat(i: u32) { ${body} }
fn row_at(row: u32) -> u32 { return places.of_table + 1u + row * ${width}u; }
fn run(workgroup: vec3<u32>, local: u32) {
  ${setGroup}
  var row = 0u;
  var beyond = tables[places.of_table];
  while (beyond - row > 1u) {
    let middle = (row + beyond) / 2u;
    if (tables[row_at(middle)] <= group) { row = middle; } else { beyond = middle; }
  }
  let at = row_at(row);
${names.map((name, n) => `  place_${name} = tables[at + ${2 + n}u];`).join("\n")}
  count = tables[at + 1u];
  let start = (group - tables[at]) * ${chunk}u;
  for (var i = start + local; i < min(start + ${chunk}u, count); i += threads) { treat(i); }
}`,
    threads: 256,
    flexible: true,
    workgroups: () => grid(chunks),
    scratch: 0,
  }
}

/**
 * The table: the number of rows, then per row its first chunk, its number of elements and the offsets of its operands. Rows are sorted
 * by offset, so that time steps with the same slots share a table.
 */
const tableOf = (
  counts: ReadonlyArray<number>,
  places: ReadonlyArray<ReadonlyArray<number>>,
): ReadonlyArray<number> => {
  let first = 0
  const order = [...places.keys()].sort((a, b) => (places[a]?.[0] ?? 0) - (places[b]?.[0] ?? 0))
  const rows = order.flatMap((i) => {
    const count = counts[i] as number
    const row = [first, count, ...(places[i] as ReadonlyArray<number>)]
    first += Math.ceil(count / chunk)
    return row
  })
  return [counts.length, ...rows]
}

const merge = (instructions: ReadonlyArray<GpuInstruction>): GpuInstruction => {
  const [{ operands, stages }] = instructions as unknown as readonly [GpuInstruction]
  const each = instructions.map(({ stages: [stage] }) => stage?.each as Each)
  const counts = each.map(({ count }) => count)
  return {
    instructions: instructions.flatMap(({ instructions }) => instructions) as unknown as GpuInstruction["instructions"],
    refs: instructions.flatMap(({ refs }) => refs),
    operands,
    names: ["table"],
    stages: [stageOf(operands, stages[0]?.each as Each, counts)],
    places: (offsetOf, tableAt) => [
      tableAt(
        tableOf(
          counts,
          instructions.map(({ places }) => places(offsetOf, tableAt)),
        ),
      ),
    ],
  }
}

/** The key by which instructions merge, or `undefined` if the instruction cannot merge. */
const kindOf = ({ instructions: [{ kernel, attributes, phase }], stages }: GpuInstruction): string | undefined =>
  stages.length === 1 && stages[0]?.each && (kernels.has(kernel) || phase === "update")
    ? `${kernel} ${JSON.stringify(attributes)} ${stages[0].each.body}`
    : undefined

/** Merges neighbouring identical instructions of a segment. */
export const mergeIdentical = (instructions: ReadonlyArray<GpuInstruction>): ReadonlyArray<GpuInstruction> => {
  const groups: Array<Array<GpuInstruction>> = []
  for (const instruction of instructions) {
    const last = groups.at(-1)
    const kind = kindOf(instruction)
    if (last !== undefined && kind !== undefined && kindOf(last[0] as GpuInstruction) === kind) last.push(instruction)
    else groups.push([instruction])
  }
  return groups.map((group) =>
    kindOf(group[0] as GpuInstruction) === undefined ? (group[0] as GpuInstruction) : merge(group),
  )
}
