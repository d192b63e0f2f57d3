/** `report`: the HTML report of a run, or Markdown tables. */
import { dirname, join } from "node:path"
import { print } from "@spikeroute/cli/terminal"
import { Effect, FileSystem } from "effect"
import type { Row } from "../method/row.ts"
import { page } from "../report/html.ts"
import { tables } from "../report/markdown.ts"
import { read } from "../report/read.ts"

/** Writes report.html into the folder and returns its path. */
export const writeReport = (rows: ReadonlyArray<Row>, folder: string) =>
  Effect.gen(function* () {
    const file = join(folder, "report.html")
    yield* (yield* FileSystem.FileSystem).writeFileString(file, page(rows))
    return file
  })

export const report = ({ file, markdown }: { readonly file: string; readonly markdown: boolean }) =>
  Effect.gen(function* () {
    const rows = yield* read(file)
    yield* print(markdown ? tables(rows) : yield* writeReport(rows, dirname(file)))
  })
