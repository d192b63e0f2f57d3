/** Matrix products tiled in workgroup memory. */
import { type Matmul, packing, splitDepth } from "./matmul-problem.ts"
import { padding, tileOf } from "./matmul-tile.ts"
import { type Operands, range, rowOfWorkgroups, type Stage, textOf } from "./shader.ts"

/** WGSL that loads a block of a factor into workgroup memory. Each thread always loads elements of the same lines. */
interface Load {
  /** Statements before the first block. */
  readonly before: string
  /** Declares the variables that `fetch` reads the block at `start` and `step` into, and `put` stores. */
  readonly declare: string
  readonly fetch: string
  readonly put: string
}

/**
 * The multiplying stage, and the number of parts that the depth is split into. If `sums` is given, the stage leaves all sums in scratch
 * memory from that offset, as [split][member][row][column].
 */
export const tiledMatmul = (
  operands: Operands,
  factors: Matmul,
  sums?: number,
): { readonly stage: Stage; readonly splits: number } => {
  const { rows, columns, depth, word, batch = 1, silent } = factors
  // Tiles that skip most of the depth finish early, so more of them are needed.
  const parallelism = operands.parallelism * (silent === undefined ? 1 : 2)
  const tile = tileOf(factors, parallelism, operands)
  const threads = (tile.rows / tile.rowsOfThread) * (tile.columns / tile.columnsOfThread)
  const rowTiles = Math.ceil(rows / tile.rows)
  const columnTiles = Math.ceil(columns / tile.columns)
  const parts = splitDepth(factors, tile.depth, batch * rowTiles * columnTiles, parallelism)
  const { splits, perSplit, blocks, iterations } = parts
  const kept = splits > 1 || sums !== undefined
  const packs = !kept ? packing(operands, factors, tile) : undefined
  const threadColumns = tile.columns / tile.columnsOfThread
  const threadRows = tile.rows / tile.rowsOfThread
  const leftStride = (tile.rows + padding) / 4
  const rightStride = (tile.columns + padding) / 4
  const put = (name: "left" | "right", k: string, line: string, value: string) =>
    `${name}[(${k}) * ${name === "left" ? leftStride : rightStride}u + (${line}) / 4u][(${line}) % 4u] = ${value};`
  const ragged = depth % tile.depth !== 0
  const guard = (value: string) => (ragged ? `select(0f, ${value}, k < ${depth}u)` : value)

  /** Elements contiguous along the depth: neighbouring threads read neighbouring elements of a line. */
  const alongDepth = (
    name: "left" | "right",
    lines: number,
    before: (i: number) => string,
    at: (i: number) => string,
    value: (i: number) => string,
  ): Load => {
    const stride = threads / tile.depth
    const passes = range(Math.ceil(lines / stride))
    return {
      before: passes.map(before).join("\n"),
      declare: passes.map((i) => `var ${name}_${i} = 0f;`).join(" "),
      fetch: `{ let k = start + local % ${tile.depth}u;
        ${passes.map((i) => `{ ${at(i)} ${name}_${i} = ${guard(value(i))}; }`).join("\n        ")} }`,
      put: passes
        .map((i) => put(name, `local % ${tile.depth}u`, `local / ${tile.depth}u + ${i * stride}u`, `${name}_${i}`))
        .join("\n      "),
    }
  }
  /** Elements contiguous across the lines. */
  const alongLines = (name: "left" | "right", lines: number, before: string, at: string, value: string): Load => {
    const stride = threads / lines
    const passes = range(Math.ceil(tile.depth / stride))
    return {
      before,
      declare: passes.map((i) => `var ${name}_${i} = 0f;`).join(" "),
      fetch: passes
        .map((i) => `{ let k = start + local / ${lines}u + ${i * stride}u; ${at} ${name}_${i} = ${guard(value)}; }`)
        .join("\n      "),
      put: passes
        .map((i) => put(name, `local / ${lines}u + ${i * stride}u`, `local % ${lines}u`, `${name}_${i}`))
        .join("\n      "),
    }
  }
  const lineOf = (i: number) => `local / ${tile.depth}u + ${(i * threads) / tile.depth}u`
  /** Clamps lines beyond the last, whose results are never stored. */
  const within = (line: string, count: number, size: number) =>
    count % size === 0 ? line : `min(${line}, ${count - 1}u)`

  const spikes = (text: (suffix: string) => string): Load => {
    const partsOfRow = threads / tile.rows
    const part = tile.depth / partsOfRow
    return {
      before: `let row = ${within(`firstRow + local % ${tile.rows}u`, rows, tile.rows)}; let inside = true; ${factors.row("")}`,
      declare: "var bits = 0u;",
      fetch: `{ let k = start; ${factors.step("")} bits = ${text("")}; }`,
      put: `{ let shifted = bits >> ((start + local / ${tile.rows}u * ${part}u) & 31u);
      ${range(part)
        .map((bit) =>
          put(
            "left",
            `local / ${tile.rows}u * ${part}u + ${bit}u`,
            `local % ${tile.rows}u`,
            `f32((shifted >> ${bit}u) & 1u)`,
          ),
        )
        .join("\n      ")} }`,
    }
  }
  const left: Load =
    word !== undefined
      ? spikes(word)
      : factors.leftAlong === "depth"
        ? alongDepth(
            "left",
            tile.rows,
            (i) =>
              `let row_${i} = ${within(`firstRow + ${lineOf(i)}`, rows, tile.rows)}; let inside_${i} = true; ${factors.row(`_${i}`)}`,
            (i) => `${factors.step(`_${i}`)} ${factors.at}`,
            (i) => factors.left(`_${i}`),
          )
        : alongLines(
            "left",
            tile.rows,
            `let row = ${within(`firstRow + local % ${tile.rows}u`, rows, tile.rows)}; let inside = true; ${factors.row("")}`,
            factors.at,
            factors.left(""),
          )
  const right: Load =
    factors.rightAlong === "columns"
      ? alongLines(
          "right",
          tile.columns,
          `let column = ${within(`firstColumn + local % ${tile.columns}u`, columns, tile.columns)};`,
          "",
          factors.right("column"),
        )
      : alongDepth(
          "right",
          tile.columns,
          (i) => `let column_${i} = ${within(`firstColumn + ${lineOf(i)}`, columns, tile.columns)};`,
          () => "",
          (i) => factors.right(`column_${i}`),
        )

  const rowQuads = range(tile.rowsOfThread / 4)
  const columnQuads = range(tile.columnsOfThread / 4)
  const eachSum = (text: (r: number, q: number) => string) =>
    range(tile.rowsOfThread).flatMap((r) => columnQuads.map((q) => text(r, q)))
  const sum = (r: number, q: number) => {
    const [a, b] = [`a_${Math.floor(r / 4)}[${r % 4}]`, `b_${q}`]
    return `sum_${r}_${q} += ${a} * ${b};`
  }
  const multiply = `for (var k = 0u; k < ${tile.depth}u; k++) {
      ${rowQuads.map((r) => `let a_${r} = left[k * ${leftStride}u + threadRow + ${r * threadRows}u];`).join(" ")}
      ${columnQuads.map((q) => `let b_${q} = right[k * ${rightStride}u + threadColumn + ${q * threadColumns}u];`).join(" ")}
      ${eachSum(sum).join("\n      ")}
    }`
  const keep = `scratch[${sums ?? 0}u + (split * ${batch}u + ${batch > 1 ? "member" : "0u"}) * ${rows * columns}u + row * ${columns}u + column] = value;`
  const leaves = `  var sums = array(${eachSum((r, q) => `sum_${r}_${q}`).join(", ")});
  for (var e = 0u; e < ${tile.rowsOfThread * tile.columnsOfThread}u; e++) {
    let r = e / ${tile.columnsOfThread}u;
    let row = firstRow + (threadRow + r / 4u * ${threadRows}u) * 4u + r % 4u;
    let quad = e / 4u % ${columnQuads.length}u;
    let column = firstColumn + (threadColumn + quad * ${threadColumns}u) * 4u + e % 4u;
    if (row < ${rows}u && column < ${columns}u) {
      let value = sums[e / 4u][e % 4u];
      ${kept ? keep : factors.store}
      ${packs?.add("row - firstRow", "column - firstColumn") ?? ""}
    }
  }
  ${packs?.store ?? ""}`
  const fetch = `{
      let step = iteration / ${blocks}u;
      let start = iteration % ${blocks}u * ${tile.depth}u;
      ${left.fetch}
      ${right.fetch}
    }`
  // Skip steps at which the left factor is 0 for all rows of the tile.
  const skip =
    silent === undefined
      ? ""
      : `while (iteration < end && ${silent("firstRow", `min(firstRow + ${tile.rows - 1}u, ${rows - 1}u)`, `(iteration / ${blocks}u)`)}) { iteration = (iteration / ${blocks}u + 1u) * ${blocks}u; }`
  const stage: Stage = {
    text: textOf(
      operands,
      `${factors.declarations ?? ""}
var<workgroup> left: array<vec4<f32>, ${tile.depth * leftStride}>;
var<workgroup> right: array<vec4<f32>, ${tile.depth * rightStride}>;
${packs?.declarations ?? ""}`,
      `  let firstRow = (workgroup.x + workgroup.y * ${rowOfWorkgroups}u) * ${tile.rows}u;
  let firstColumn = workgroup.z % ${columnTiles}u * ${tile.columns}u;
  let split = workgroup.z / ${columnTiles}u % ${splits}u;
  ${batch > 1 ? `let member = workgroup.z / ${columnTiles * splits}u;` : ""}
  let threadRow = local / ${threadColumns}u;
  let threadColumn = local % ${threadColumns}u;
  ${left.before}
  ${right.before}
  ${left.declare} ${right.declare}
${eachSum((r, q) => `  var sum_${r}_${q} = vec4<f32>();`).join("\n")}
  var iteration = split * ${perSplit}u;
  let end = min(${iterations}u, iteration + ${perSplit}u);
  ${skip}
  if (iteration < end) ${fetch}
  while (iteration < end) {
    let start = iteration % ${blocks}u * ${tile.depth}u;
    workgroupBarrier();
    ${left.put}
    ${right.put}
    workgroupBarrier();
    // Fetch the next block while this one is multiplied.
    iteration++;
    ${skip}
    if (iteration < end) ${fetch}
    ${multiply}
  }
${leaves}`,
    ),
    threads,
    flexible: false,
    workgroups: () => [
      Math.min(rowTiles, rowOfWorkgroups),
      Math.ceil(rowTiles / rowOfWorkgroups),
      columnTiles * splits * batch,
    ],
    scratch: kept ? (sums ?? 0) + splits * batch * rows * columns : 0,
  }
  return { stage, splits }
}
