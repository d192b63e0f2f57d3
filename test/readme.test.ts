import { expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

const path = (relative: string) => fileURLToPath(new URL(`../${relative}`, import.meta.url))

test("the README's first program is examples/first.ts, and it learns", async () => {
  const program = readFileSync(path("examples/first.ts"), "utf8")
  expect(readFileSync(path("README.md"), "utf8")).toContain(`\`\`\`ts\n${program}\`\`\``)
  const child = Bun.spawn([process.execPath, path("examples/first.ts")], { stdout: "pipe" })
  const losses = [...(await new Response(child.stdout).text()).matchAll(/loss ([\d.]+)/g)].map(([, loss]) =>
    Number(loss),
  )
  expect(losses.length).toBe(3)
  expect(losses[2]).toBeLessThan(losses[0] as number)
})
