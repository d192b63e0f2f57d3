/** Products of threads that read the factors where they lie. */
import { leave, type Product, spread } from "./factors.ts"
import { type Operands, type Stage, shader } from "./shader.ts"

const threads = 32
/** Elements of the depth in a block: the spikes of a word. */
const block = 32

/** Products of fewer multiplications are over sooner than a better shader is made. */
const smallProduct = 2 ** 20

const range = (count: number): ReadonlyArray<number> => Array.from({ length: count }, (_, i) => i)

/** The stage that multiplies, and into how many parts it splits the depth. */
export const direct = (operands: Operands, factors: Product): { readonly stage: Stage; readonly splits: number } => {
  const { rows, columns, steps, depth, word } = factors
  // A thread of many sums reads little for each, but its shader takes a tenth of a second to make.
  const small = rows * columns * steps * depth < smallProduct
  const threadRows = small ? 2 : 8
  const perThread = Math.min(small ? 2 : columns >= 16 ? 8 : 4, columns)
  const octet = threadRows === 8 ? factors.octet : undefined
  // Neighbouring threads have neighbouring columns, and read the right factor side by side.
  const columnThreads = Math.ceil(columns / perThread)
  const count = Math.ceil(rows / threadRows) * columnThreads
  const groups = Math.ceil(count / threads)
  const parts = spread(factors, block, groups, operands.parallelism)
  const { splits, perSplit, blocks, iterations } = parts

  const eachRow = (text: (suffix: string, r: number) => string) =>
    range(threadRows)
      .map((r) => text(`_${r}`, r))
      .join("\n")
  const eachColumn = (text: (q: number) => string) => range(perThread).map(text).join(" ")
  const multiply = (left: (suffix: string, r: number) => string) => `
      ${eachColumn((q) => `let b_${q} = ${factors.right(`column_${q}`)};`)}
${eachRow((suffix, r) => `      { let a = ${left(suffix, r)}; ${eachColumn((q) => `sum${suffix}_${q} += a * b_${q};`)} }`)}`
  const walk =
    word !== undefined
      ? `let k = start;
${eachRow((suffix) => `    let bits${suffix} = select(0u, ${word(suffix)}, inside${suffix});`)}
    var some = ${range(threadRows)
      .map((r) => `bits_${r}`)
      .join(" | ")};
    while (some != 0u) {
      let bit = firstTrailingBit(some);
      some &= some - 1u;
      let k = start + bit;
${multiply((suffix) => `f32((bits${suffix} >> bit) & 1u)`)}
    }`
      : octet !== undefined
        ? `for (var k = start; k < min(start + ${block}u, ${depth}u); k++) {
      ${factors.at}
      let bits = ${octet("_0")};
      if ((bits & 255u) == 0u) { continue; }
${multiply((_, r) => `f32((bits >> ${r}u) & 1u)`)}
    }`
        : `for (var k = start; k < min(start + ${block}u, ${depth}u); k++) {
      ${factors.at}
${multiply((suffix) => `select(0f, ${factors.left(suffix)}, inside${suffix})`)}
    }`
  const body = `${factors.declarations ?? ""}
@compute @workgroup_size(${threads})
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let thread = (workgroup.x + workgroup.y * 65535u) * ${threads}u + local;
  if (thread >= ${count}u) { return; }
  let split = workgroup.z;
${eachColumn((q) => `let column_${q} = min(thread % ${columnThreads}u + ${q * columnThreads}u, ${columns - 1}u);`)}
${eachRow(
  (suffix, r) => `  let row${suffix} = thread / ${columnThreads}u * ${threadRows}u + ${r}u;
  let inside${suffix} = row${suffix} < ${rows}u;
  ${factors.row(suffix)}
  ${eachColumn((q) => `var sum${suffix}_${q} = 0f;`)}`,
)}
  for (var iteration = split * ${perSplit}u; iteration < min(${iterations}u, (split + 1u) * ${perSplit}u); iteration++) {
    let step = iteration / ${blocks}u;
    let start = iteration % ${blocks}u * ${block}u;
${eachRow((suffix) => `    ${factors.step(suffix)}`)}
    ${walk}
  }
  var sums = array<f32, ${threadRows * perThread}>(${range(threadRows)
    .flatMap((r) => range(perThread).map((q) => `sum_${r}_${q}`))
    .join(", ")});
  for (var e = 0u; e < ${threadRows * perThread}u; e++) {
    let row = row_0 + e / ${perThread}u;
    let column = thread % ${columnThreads}u + e % ${perThread}u * ${columnThreads}u;
    if (row < ${rows}u && column < ${columns}u) { let value = sums[e]; ${leave(factors, parts)} }
  }
}`
  return {
    stage: {
      source: shader(operands, body),
      workgroups: [Math.min(groups, 65535), Math.ceil(groups / 65535), splits],
      scratch: splits === 1 ? 0 : splits * rows * columns,
    },
    splits,
  }
}
