/**
 * Instructions that do the same to tensors of different sizes, as one stage: all parameters in one dispatch of the optimiser.
 *
 * The stage walks over a table with a row for each instruction. Workgroups take chunks of a tensor; the row of a chunk is found by
 * bisection, which is the same for all threads of a workgroup.
 */
import { elementCount } from "./kernels/expressions.ts"
import { accessorsOf, grid, type Operands, type Stage, setGroup } from "./shader.ts"
import type { Work } from "./work.ts"

/** Kernels whose instructions come many in a row, and whose shaders know nothing of their operands' shapes: as do updates' but for the count. */
const kernels: ReadonlySet<string> = new Set(["zero", "copy"])

/** Elements of a chunk. */
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
 * The table's numbers: how many rows there are; of each its first chunk, its number of elements, and where its operands begin. Rows
 * are in the order of the places: of time steps that find the same slots, tables are the same.
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

const joined = (works: ReadonlyArray<Work>): Work => {
  const [{ operands, stages }] = works as unknown as readonly [Work]
  const each = works.map(({ stages: [stage] }) => stage?.each as Each)
  const counts = each.map(({ count }) => count)
  return {
    instructions: works.flatMap(({ instructions }) => instructions) as unknown as Work["instructions"],
    refs: works.flatMap(({ refs }) => refs),
    operands,
    names: ["table"],
    stages: [stageOf(operands, stages[0]?.each as Each, counts)],
    places: (offsetOf, tableAt) => [
      tableAt(
        tableOf(
          counts,
          works.map(({ places }) => places(offsetOf, tableAt)),
        ),
      ),
    ],
  }
}

/** What alike work has in common: none of it where its stages are more than something done to each element. */
const kindOf = ({ instructions: [{ kernel, attributes, phase }], stages }: Work): string | undefined =>
  stages.length === 1 && stages[0]?.each && (kernels.has(kernel) || phase === "update")
    ? `${kernel} ${JSON.stringify(attributes)}`
    : undefined

/** A segment's work with neighbours that are alike joined. */
export const joinAlike = (works: ReadonlyArray<Work>): ReadonlyArray<Work> => {
  const groups: Array<Array<Work>> = []
  for (const work of works) {
    const last = groups.at(-1)
    const kind = kindOf(work)
    if (last !== undefined && kind !== undefined && kindOf(last[0] as Work) === kind) last.push(work)
    else groups.push([work])
  }
  return groups.map((group) => (kindOf(group[0] as Work) === undefined ? (group[0] as Work) : joined(group)))
}
