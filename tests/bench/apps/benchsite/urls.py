"""One URL, one view."""

from django.http import HttpResponse
from django.urls import path


def plain(request):
    return HttpResponse("Hello world\n", content_type="text/plain")


urlpatterns = [path("", plain)]
