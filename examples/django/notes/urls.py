from django.urls import path

from . import views

urlpatterns = [
    path("", views.index, name="notes"),
    path("new/", views.create, name="new-note"),
    path("notes/<int:pk>/", views.detail, name="note"),
    path("notes/<int:pk>/attachment", views.download, name="attachment"),
]
