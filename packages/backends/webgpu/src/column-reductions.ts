/**
 * Per-column reductions over the rows of a matrix, in two passes of fixed order: chunks of rows first, then the chunks. Chunk k
 * holds rows k, k + chunks, k + 2·chunks, …
 */
import { forEach, forEachGroup, type Operands, range, type Stage } from "./shader.ts"

export interface Columns {
  readonly rows: number
  readonly columns: number
}

/** Number of row chunks: enough threads for a GPU, few workgroups for a software adapter. */
const chunksOf = ({ rows, columns }: Columns, { target: { software } }: Operands): number =>
  Math.max(1, Math.min(Math.ceil(rows / 16), Math.floor((software ? 2048 : 131072) / columns), 2048))

/**
 * WGSL that visits the rows of chunk `chunk`; `i` is the element in column `c`. On hardware the loop is unrolled over several rows,
 * so that their loads overlap.
 */
const eachRow = ({ rows, columns }: Columns, chunks: number, { target }: Operands, body: string): string => {
  const together = target.software ? 1 : 4
  const at = (row: string) => `{ let i = (${row}) * ${columns}u + c; ${body} }`
  return `
  { var row = chunk;${
    together === 1
      ? ""
      : `
  for (; row + ${(together - 1) * chunks}u < ${rows}u; row += ${together * chunks}u) {
    ${range(together)
      .map((n) => at(`row + ${n * chunks}u`))
      .join("\n    ")}
  }`
  }
  for (; row < ${rows}u; row += ${chunks}u) ${at("row")} }`
}

const header = (columns: number) => `
  let c = i % ${columns}u;
  let chunk = i / ${columns}u;`

/**
 * Column sums. `each` adds to the variables `names` for element `i` of column `c`; `finish` runs once per column `c` with the sums
 * under the same names. The first `kept` scratch elements are reserved for `finish`.
 */
export const columnSums = (
  operands: Operands,
  matrix: Columns,
  {
    names,
    each,
    finish,
    declarations = "",
  }: {
    readonly names: ReadonlyArray<string>
    readonly each: string
    readonly finish: string
    readonly declarations?: string
  },
  kept = 0,
): ReadonlyArray<Stage> => {
  const { columns } = matrix
  const chunks = chunksOf(matrix, operands)
  const partials = chunks * columns
  const scratch = kept + partials * names.length
  const first = forEach(
    operands,
    partials,
    `${header(columns)}
  ${names.map((name) => `var ${name} = 0f;`).join(" ")}${eachRow(matrix, chunks, operands, each)}
  ${names.map((name, n) => `scratch[${kept + n * partials}u + i] = ${name};`).join(" ")}`,
    declarations,
    scratch,
  )
  const second = forEachGroup(
    operands,
    columns,
    `  let c = group;
  ${names.map((name) => `var own_${name} = 0f;`).join(" ")}
  for (var chunk = local; chunk < ${chunks}u; chunk += adders) {
    ${names.map((name, n) => `own_${name} += scratch[${kept + n * partials}u + chunk * ${columns}u + c];`).join(" ")}
  }
  ${names.map((name) => `let ${name} = total(local, own_${name});`).join(" ")}
  if (local == 0u) {
${finish}
  }`,
    declarations,
    scratch,
  )
  return [first, second]
}

/**
 * Mean and sum of squared deviations of each column: per chunk first, then combined (Chan, Golub & LeVeque, 1979). `value` is element
 * `i` of column `c`; `finish` runs once per column `c` with `average` and `squares`. The first `kept` scratch elements are reserved
 * for `finish`.
 */
export const columnMoments = (
  operands: Operands,
  matrix: Columns,
  { value, finish }: { readonly value: string; readonly finish: string },
  kept = 0,
): ReadonlyArray<Stage> => {
  const { rows, columns } = matrix
  const chunks = chunksOf(matrix, operands)
  const partials = chunks * columns
  const scratch = kept + 2 * partials
  const size = `f32((${rows - 1}u - chunk) / ${chunks}u + 1u)`
  const first = forEach(
    operands,
    partials,
    `${header(columns)}
  var sum = 0f;${eachRow(matrix, chunks, operands, `sum += ${value};`)}
  let average = sum / ${size};
  var squares = 0f;${eachRow(matrix, chunks, operands, `let difference = ${value} - average; squares += difference * difference;`)}
  scratch[${kept}u + i] = average;
  scratch[${kept + partials}u + i] = squares;`,
    "",
    scratch,
  )
  const eachChunk = (body: string) =>
    `for (var chunk = local; chunk < ${chunks}u; chunk += adders) { let size = ${size}; let place = ${kept}u + chunk * ${columns}u + c; ${body} }`
  const second = forEachGroup(
    operands,
    columns,
    `  let c = group;
  var sum = 0f;
  ${eachChunk("sum += size * scratch[place];")}
  let average = total(local, sum) / ${rows}f;
  var squared = 0f;
  ${eachChunk(`let difference = scratch[place] - average; squared += scratch[${partials}u + place] + size * difference * difference;`)}
  let squares = total(local, squared);
  if (local == 0u) {
${finish}
  }`,
    "",
    scratch,
  )
  return [first, second]
}
