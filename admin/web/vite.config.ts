// One page under /admin/: the phone and the desk are lazy routes of the same build.
import { fileURLToPath } from 'node:url'
import vue from '@vitejs/plugin-vue'
import { defineConfig } from 'vitest/config'

const api = process.env.JIAOQING_API ?? 'http://127.0.0.1:8000'
const proxy = { '/admin/api': { target: api, changeOrigin: false } }

export default defineConfig({
  base: '/admin/',
  plugins: [vue()],
  resolve: { alias: { '@': fileURLToPath(new URL('./src', import.meta.url)) } },
  build: { target: 'es2022', chunkSizeWarningLimit: 900 },
  server: { proxy },
  preview: { proxy },
  test: {
    environment: 'jsdom',
    include: ['tests/**/*.test.ts'],
    restoreMocks: true,
    unstubGlobals: true,
    server: { deps: { inline: ['vant'] } },
  },
})
