/** Examples for dropout masks and copying. */
import type { Shape } from "../../../shape.ts"
import { type Examples, extreme, huge, type Kind, normal, output, words } from "../example.ts"

const shapes: ReadonlyArray<Shape> = [
  [1, 1],
  [3, 5],
  [1, 3, 5, 7],
  [2, 3, 2, 33],
]

const label = (kind: string, shape: Shape): string => `${kind} ${shape.join("×")}`

const gradients: ReadonlyArray<Kind> = [["real", (shape) => normal(shape)], extreme[4] as Kind, huge]

export const elementwise = {
  copy: shapes.flatMap((shape) =>
    gradients.map(([kind, source]) => ({
      name: label(kind, shape),
      operands: { source: source(shape), target: output(shape) },
    })),
  ),
  "dropout.mask": [0, 0.3, 0.9].flatMap((rate) =>
    [...shapes, [1, 64]].map((shape) => ({
      name: `${label(`rate ${rate}`, shape)}`,
      attributes: { rate },
      operands: { key: words, mask: output(shape, "spikes") },
    })),
  ),
} satisfies Partial<Examples>
