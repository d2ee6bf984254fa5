// Phone routes and desk routes are separate chunks: a phone never loads the desk's component set.
import { createRouter, createWebHistory, type RouteRecordRaw } from 'vue-router'
import { httpSettings } from '@/api/http'
import { steward, token } from '@/api/session'
import { homeOf } from '@/shared/roles'

export const routes: RouteRecordRaw[] = [
  { path: '/', name: 'home', component: () => import('@/shared/LoginPage.vue') },
  {
    path: '/login',
    name: 'login',
    component: () => import('@/shared/LoginPage.vue'),
    meta: { open: true },
  },
  {
    path: '/m',
    component: () => import('@/phone/PhoneShell.vue'),
    redirect: '/m/worklist',
    children: [
      { path: 'worklist', name: 'm-worklist', component: () => import('@/phone/WorklistPage.vue'), meta: { tab: true } },
      { path: 'search', name: 'm-search', component: () => import('@/phone/SearchPage.vue'), meta: { tab: true } },
      { path: 'me', name: 'm-me', component: () => import('@/phone/MePage.vue'), meta: { tab: true } },
      { path: 'houses/:houseId', name: 'm-house', component: () => import('@/phone/HouseholdPage.vue'), props: true },
    ],
  },
  {
    path: '/desk',
    component: () => import('@/desk/DeskShell.vue'),
    redirect: '/desk/overview',
    children: [
      { path: 'overview', name: 'd-overview', component: () => import('@/desk/OverviewPage.vue') },
      { path: 'houses', name: 'd-houses', component: () => import('@/desk/HouseholdsPage.vue') },
      { path: 'houses/:houseId', name: 'd-house', component: () => import('@/desk/HouseholdPage.vue'), props: true },
      { path: 'bill-runs', name: 'd-bill-runs', component: () => import('@/desk/BillRunsPage.vue') },
      { path: 'payments', name: 'd-payments', component: () => import('@/desk/PaymentsPage.vue') },
      { path: 'exceptions', name: 'd-exceptions', component: () => import('@/desk/ExceptionsPage.vue') },
    ],
  },
  { path: '/:rest(.*)*', redirect: '/' },
]

export const router = createRouter({ history: createWebHistory('/admin/'), routes })

router.beforeEach((to) => {
  const known = token() !== null && steward.value !== null
  if (!known) {
    if (to.meta.open) return true
    return { name: 'login', query: to.path === '/' ? {} : { next: to.fullPath } }
  }
  if (to.name === 'home' || to.name === 'login') return homeOf(steward.value!.role, window.innerWidth)
  return true
})

httpSettings.onLoginRequired = () => {
  const here = router.currentRoute.value
  if (here.name === 'login') return
  void router.replace({ name: 'login', query: { next: here.fullPath, expired: '1' } })
}
