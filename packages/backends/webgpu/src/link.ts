/**
 * Links independent stages into one shader: each workgroup runs one of them, and none reads what another writes.
 *
 * Declared names get the stage's number as a suffix. The offsets of operands and scratch memory come from the record of places, which
 * concatenates the places of all stages.
 */
import { grid, type Stage, setGroup } from "./shader.ts"

/** A stage and the names of its places in the record; the offset of its scratch memory comes last. */
export interface Part {
  readonly names: ReadonlyArray<string>
  readonly stage: Stage
}

export interface Linked {
  readonly source: string
  readonly workgroups: readonly [x: number, y: number, z: number]
}

/** Size of a record of places, in words: the limit for the places of one dispatch. */
export const recordWords = 64

/** Words of the record that a part uses. */
export const wordsOf = ({ names }: Part): number => names.length + 1

/** A workgroup size that suits all stages, or `undefined` if there is none. */
export const threadsOf = (stages: ReadonlyArray<Stage>): number | undefined => {
  const fixed = new Set(stages.filter(({ flexible }) => !flexible).map(({ threads }) => threads))
  if (fixed.size > 1) return undefined
  return [...fixed][0] ?? Math.max(...stages.map(({ threads }) => threads))
}

const sharedArray = /var<workgroup> (\w+): array<([^;]*?), (\w+)>;/g

/** Shares workgroup arrays of the same name between stages, at the largest size: a workgroup runs only one stage. */
const shareArrays = (texts: ReadonlyArray<string>) => {
  const arrays = new Map<string, string>()
  const own = texts.map((text) =>
    text.replace(sharedArray, (_, name: string, element: string, length: string) => {
      const shared = `${name}_${element.replace(/\W/g, "")}`
      const known = arrays.get(shared)?.match(/, (\w+)>;$/)?.[1]
      if (known === undefined || Number(length) > Number(known))
        arrays.set(shared, `var<workgroup> ${shared}: array<${element}, ${length}>;`)
      return `//shares ${name} ${shared}\n`
    }),
  )
  return { declarations: [...arrays.values()].join("\n"), texts: own }
}

const declared = /\bfn (\w+)|\bvar<private> (\w+)/g

/** A stage's text with its declared names made unique. */
const renamed = (text: string, number: number): string => {
  const names = new Map<string, string>()
  for (const [, fn, variable] of text.matchAll(declared)) {
    const name = (fn ?? variable) as string
    names.set(name, `${name}_${number}`)
  }
  for (const [, name, shared] of text.matchAll(/\/\/shares (\w+) (\w+)\n/g)) names.set(name as string, shared as string)
  return text
    .replace(/\/\/shares .*\n/g, "")
    .replace(/\b[a-z]\w*\b/gi, (word) => names.get(word) ?? word)
    .replaceAll("places.of_", `places.of${number}_`)
    .replaceAll(/\bscratch\[/g, `scratch[places.of${number}_scratch + `)
}

/** `subgroup`: the size of the thread's subgroup, its lane, and the subgroup's index and count within the workgroup. */
const subgroupOfThread = `struct Subgroup { size: u32, lane: u32, id: u32, count: u32 }
var<private> subgroup: Subgroup;
`
const subgroupBuiltins =
  "@builtin(subgroup_size) size: u32, @builtin(subgroup_invocation_id) lane: u32, @builtin(subgroup_id) id: u32, @builtin(num_subgroups) count: u32, "

/** The shader of the parts, for workgroups of `threads`, and its grid. */
export const link = (parts: ReadonlyArray<Part>, threads: number): Linked => {
  const grids = parts.map(({ stage }) => stage.workgroups(threads))
  const counts = grids.map(([x, y, z]) => x * y * z)
  const { declarations, texts } = shareArrays(parts.map(({ stage }) => stage.text))
  const fields = parts.flatMap(({ names }, i) => [...names, "scratch"].map((name) => `of${i}_${name}: u32,`))
  let first = 0
  const branches = parts.map((_, i) => {
    const [x, y] = (grids[i] as Linked["workgroups"]).map((extent) => Math.max(1, extent)) as [number, number]
    const from = first
    first += counts[i] as number
    return `if (group < ${first}u) { let g = group - ${from}u; run_${i}(vec3<u32>(g % ${x}u, g / ${x}u % ${y}u, g / ${x * y}u), local); }`
  })
  const bodies = texts.map(renamed).join("")
  const subgroups = bodies.includes("subgroup.")
  const source = `${subgroups ? "enable subgroups;\nrequires subgroup_id;\n" : ""}struct Places { ${fields.join(" ")} }
@group(0) @binding(0) var<storage, read_write> arena: array<u32>;
@group(0) @binding(1) var<uniform> places: Places;
@group(0) @binding(2) var<storage, read_write> scratch: array<f32>;
@group(0) @binding(3) var<storage, read> tables: array<u32>;
const threads = ${threads}u;
${subgroups ? subgroupOfThread : ""}${declarations}${bodies}
@compute @workgroup_size(${threads})
fn main(${subgroups ? subgroupBuiltins : ""}@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  ${subgroups ? "subgroup = Subgroup(size, lane, id, count);" : ""}
  ${parts.length === 1 ? "run_0(workgroup, local);" : `${setGroup}\n  ${branches.join("\n  else ")}`}
}`
  return { source, workgroups: parts.length === 1 ? (grids[0] as Linked["workgroups"]) : grid(first) }
}
