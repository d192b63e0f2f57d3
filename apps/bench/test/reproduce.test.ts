/** The paper's tables at a tiny scale. */
import { afterAll, expect, test } from "bun:test"
import { mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const folder = mkdtempSync(join(tmpdir(), "spikeroute-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const bench = async (args: string) => {
  const entry = fileURLToPath(new URL("../src/main.ts", import.meta.url))
  const child = Bun.spawn([process.execPath, entry, ...args.split(" ")], {
    stderr: "pipe",
    env: { ...process.env, NO_COLOR: "1" },
  })
  const [stdout, stderr, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited])
  return { stdout, stderr, code }
}

/** The cells of the row that starts with a name. */
const row = (text: string, name: string) => {
  const line = text.split("\n").find((each) => each.startsWith(`${name} `))
  return (line ?? "").trim().split(/\s{2,}/)
}

const column = (text: string, title: string) => {
  const header = text.split("\n").find((each) => each.includes(title))
  return (
    1 +
    (header ?? "")
      .trim()
      .split(/\s{2,}/)
      .indexOf(title)
  )
}

test("bench reproduce: SLTT takes less memory than BPTT, SLTT-1 a sixth of SLTT's backward work", async () => {
  const { stdout, stderr, code } = await bench(
    "reproduce --models resnet18 --backend wasm --threads 1 --width 0.0625 --batch-size 2 --rounds 1",
  )
  expect({ code, stderr }).toEqual({ code: 0, stderr: "resnet18 on CIFAR-10's shape\n" })
  const [bptt, sltt, slttk] = ["bptt", "sltt", "slttk(1)"].map((name) => row(stdout, name))
  const share = column(stdout, "planned") + 1
  expect(bptt?.[share]).toBe("1.00")
  for (const policy of [sltt, slttk]) expect(Number(policy?.[share])).toBeWithin(0.01, 0.5)
  const work = column(stdout, "backward multiplications")
  const multiplications = (cells: ReadonlyArray<string> | undefined) => Number(cells?.[work]?.replaceAll(",", ""))
  expect(multiplications(slttk) / multiplications(sltt)).toBeWithin(1 / 6 - 0.02, 1 / 6 + 0.02)
  for (const cells of [bptt, sltt, slttk]) expect(cells?.every((cell) => !cell.includes("NaN"))).toBe(true)
  // Three processes, each of which trains until the runtime has compiled everything.
}, 120_000)

test("bench accuracy: one run per policy and seed, and their mean accuracies", async () => {
  const { stdout, stderr, code } = await bench(
    `accuracy --seeds 2 --out ${join(folder, "runs")} --backend reference --limit 32 --batch-size 8 --time-steps 3 --epochs 1`,
  )
  if (code !== 0) throw new Error(stderr)
  const policies = ["bptt", "ottt", "rate", "sltt", "slttk(1)"]
  const runs = policies.flatMap((name) => [`${name}-seed0`, `${name}-seed1`])
  expect(readdirSync(join(folder, "runs")).sort()).toEqual(runs)
  for (const name of policies) {
    const shares = await Promise.all(
      [0, 1].map(async (seed) => {
        const summary = await Bun.file(join(folder, "runs", `${name}-seed${seed}`, "summary.json")).json()
        return summary.testAccuracy as number
      }),
    )
    const mean = (100 * ((shares[0] as number) + (shares[1] as number))) / 2
    expect(row(stdout, name)[1]).toBe(`${mean.toFixed(2)} %`)
  }
}, 60_000)
