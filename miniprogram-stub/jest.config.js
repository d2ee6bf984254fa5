/** The mocked tests: everything but tests/backend, which needs a running product. */
module.exports = {
  testEnvironment: 'jsdom',
  transform: {},
  testMatch: ['<rootDir>/tests/{unit,pages}/**/*.test.js'],
  restoreMocks: true,
};
